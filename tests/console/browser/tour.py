"""Each page of the console, with the person who looks at it: what the tests of all pages and the screenshots open.

Decides how a page is found: those about one thing (a request, a window, an execution) by the first link to one.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.console.pages import PAGES
from pgjit.demo.world import ANALYSTS
from tests.console.browser.visitor import Visitor

__all__ = ["TOUR", "Stop", "missing_stops"]


@dataclass(frozen=True, slots=True)
class Stop:
    """`who`: the name of a person in `Town`; None: nobody is signed in. `link`: how the address of a link in the page
    begins, which leads to the page that is meant."""

    name: str
    who: str | None
    path: str
    link: str = ""
    status: int = 200

    async def open(self, visitor: Visitor) -> None:
        await visitor.open(self.path, 200 if self.link else self.status)
        if self.link:
            href = await visitor.page.locator(f'main a[href^="{self.link}"]').first.get_attribute("href")
            assert href is not None
            await visitor.open(href, self.status)


TOUR = (
    Stop("sign-in", None, "/sign-in"),
    Stop("requests", "ana", "/requests"),
    Stop("request", "ana", "/requests", "/requests/r_"),
    Stop("live", "dora", "/live"),
    Stop("windows", "dora", "/windows"),
    Stop("window", "dora", "/windows", "/windows/w_"),
    Stop("audit", "odile", "/audit"),
    Stop("execution", "odile", "/audit", "/audit/executions/"),
    Stop("sql", "odile", "/audit/sql"),
    Stop("access", "dora", "/access"),
    Stop("access-group", "dora", f"/access?group={ANALYSTS}"),
    Stop("policies", "ana", "/policies"),
    Stop("policy", "ana", "/policies", "/policies/analyst"),
    Stop("policy-tests", "ana", "/policies/analyst-read-only/tests"),
    Stop("proof", "odile", "/proof"),
    Stop("record-proof", "odile", "/proof/record?record=1"),
    Stop("check-proof", "odile", "/proof/check"),
    Stop("reports", "odile", "/reports"),
    Stop("health", "dora", "/health"),
    Stop("not-open", "ana", "/audit/sql", status=403),
    Stop("not-found", "ana", "/no/such/page", status=404),
)


def missing_stops() -> list[str]:
    """Pages of the console that the tour leaves out."""
    return sorted({entry.path for entry in PAGES} - {stop.path for stop in TOUR})
