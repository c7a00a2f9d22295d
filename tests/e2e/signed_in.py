"""A person signs in at the emulator with an HTTP client that has a browser's cookies, over TLS."""

from __future__ import annotations

import re
import ssl
from html import unescape
from urllib.parse import urlencode, urljoin

import httpx

from pgjit.demo.emulator import RegisteredPrincipal
from pgjit.demo.world import World

__all__ = ["ConsoleClient"]


class ConsoleClient:
    """`async with ConsoleClient(world) as client:`, then `await client.sign_in(ana)`."""

    def __init__(self, world: World) -> None:
        self.world = world
        tls = ssl.create_default_context(cafile=str(world.certificates.authority))
        self.http = httpx.AsyncClient(base_url=world.console_url, verify=tls, timeout=60, trust_env=False)

    async def __aenter__(self) -> ConsoleClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.http.aclose()

    async def sign_in(self, person: RegisteredPrincipal | None, to: str = "", at: str = "") -> httpx.Response:
        """The console's response to the provider's answer; None: the person cancels. `at`: another console."""
        return await self.step_up(urljoin(at, f"/sign-in/start?{urlencode({'to': to})}"), person)

    async def step_up(self, link: str, person: RegisteredPrincipal | None) -> httpx.Response:
        """The same by a link of the console that leads to the provider."""
        started = await self.http.get(link)
        assert started.status_code == 303, started.text
        place = started.headers["location"]
        page = await self.http.get(place)
        assert page.status_code == 200, page.text
        answer = await self.http.post(place, data={"user": "" if person is None else person.oid})
        assert answer.status_code == 302, answer.text
        return await self.http.get(answer.headers["location"])

    async def get(self, path: str) -> httpx.Response:
        """The page, after redirects within the console."""
        page = await self.http.get(path)
        while page.status_code == 303 and page.headers["location"].startswith("/"):
            page = await self.http.get(page.headers["location"])
        return page

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Send it as the form of a page does."""
        page = await self.get("/")
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert token is not None, page.text
        headers = {"origin": self.world.console_url, "sec-fetch-site": "same-origin"}
        return await self.http.post(path, data={"csrf": unescape(token[1]), **fields}, headers=headers)
