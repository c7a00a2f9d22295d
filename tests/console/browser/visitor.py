"""A person at the browser: signed in, with one theme and one width, and watched.

Decides how a person signs in (by the pages, at the emulator), and what is looked for on each page that is opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, Response

from pgjit.demo.emulator import RegisteredPrincipal
from tests.console.browser.chromium import PATIENCE_MS, Watch
from tests.console.browser.town import Town

__all__ = ["THEMES", "WIDTHS", "Look", "Theme", "Visitor", "Visitors"]

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
WIDTHS: Mapping[str, int] = {"phone": 360, "desk": 1440}
_SERIOUS = ("serious", "critical")


@dataclass(frozen=True)
class Look:
    """How a page is looked at."""

    theme: Theme = "light"
    width: int = 1440
    height: int = 900
    javascript: bool = True


@dataclass
class Visitor:
    """`page`: the first tab. Leaving the test, every tab must have behaved (`Watch`)."""

    town: Town
    context: BrowserContext
    page: Page
    watch: Watch

    @property
    def path(self) -> str:
        parts = urlsplit(self.page.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    async def open(self, path: str, status: int = 200) -> Response:
        """Open a page by its address. Its status must be `status`."""
        if status >= 400:
            self.watch.statuses.add(status)
        response = await self.page.goto(path)
        assert response is not None
        assert response.status == status, f"{path}: {response.status}\n{await self.page.inner_text('body')}"
        return response

    async def look(self, look: Look) -> None:
        """The page that is open, in another theme and another width."""
        await self.page.emulate_media(color_scheme=look.theme, reduced_motion="reduce")
        await self.page.set_viewport_size({"width": look.width, "height": look.height})

    async def sign_in(self, person: RegisteredPrincipal) -> None:
        """Sign in at the emulator. The page for signing in has to be open."""
        await self.page.get_by_role("link", name="Sign in with").click()
        await self.page.get_by_role("button", name=person.display).click()
        await self.page.wait_for_url(f"{self.watch.origin}/**")

    async def check_access(self) -> None:
        """axe-core finds nothing serious on the page as it is now."""
        found = (await Axe().run(self.page)).response["violations"]
        serious = [each for each in found if each["impact"] in _SERIOUS]
        size = self.page.viewport_size
        assert serious == [], f"{self.path}, {size}:\n" + "\n".join(map(_told, serious))

    async def check_width(self) -> None:
        """The page as a whole never scrolls sideways."""
        beyond = await self.page.evaluate(_BEYOND)
        assert beyond == [], f"{self.path} at {self.page.viewport_size}: wider than the screen"


def _told(violation: Mapping[str, Any]) -> str:
    places = "\n".join(
        f"    {node['html'][:300]}\n      {node['failureSummary'][:300]}" for node in violation["nodes"][:5]
    )
    return f"{violation['impact']}: {violation['id']}: {violation['help']}\n{places}"


# What sticks out of the page, outermost first; none if the page does not scroll sideways.
_BEYOND = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  const scrolls = (e) => { for (let p = e.parentElement; p; p = p.parentElement) {
    if (getComputedStyle(p).overflowX !== "visible") return true; } return false; };
  return [...document.body.querySelectorAll("*")]
    .filter((e) => e.getBoundingClientRect().right > wide + 1 && !scrolls(e))
    .map((e) => `${e.tagName.toLowerCase()}.${e.className} ${Math.round(e.getBoundingClientRect().right)}`)
    .slice(0, 10);
}"""


@dataclass
class Visitors:
    """Opens contexts. A person signs in by the pages once; later contexts get the cookies of that sign-in."""

    browser: Browser
    town: Town
    _kept: dict[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def of(self, person: RegisteredPrincipal | None, look: Look | None = None) -> AsyncIterator[Visitor]:
        """A visitor in a context of their own; None: who is not signed in."""
        async with AsyncExitStack() as stack:
            visitor = await self.enter(stack, person, look)
            yield visitor
            visitor.watch.check()

    async def enter(
        self, stack: AsyncExitStack, person: RegisteredPrincipal | None, look: Look | None = None
    ) -> Visitor:
        """The same, closed with `stack`; the caller checks the watch."""
        look = look or Look()
        state = None if person is None else self._kept.get(person.oid)
        context = await self.browser.new_context(
            base_url=self.town.world.console_url,
            ignore_https_errors=True,  # the authority is of this run
            color_scheme=look.theme,
            viewport={"width": look.width, "height": look.height},
            java_script_enabled=look.javascript,
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="Europe/Berlin",
            storage_state=state,
        )
        stack.push_async_callback(context.close)
        context.set_default_timeout(PATIENCE_MS)
        watch = Watch(self.town.world.console_url, _origin(self.town.world.emulator.url))
        watch.follow(context)
        visitor = Visitor(self.town, context, await context.new_page(), watch)
        if person is not None and state is None:
            await visitor.open("/")
            await visitor.sign_in(person)
            self._kept[person.oid] = await context.storage_state()
        return visitor


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
