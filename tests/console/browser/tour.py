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
    """`who`: the name of a person in `Town`; None: nobody is signed in. `links`: how the addresses of links begin
    that lead from there to the page that is meant."""

    name: str
    who: str | None
    path: str
    links: tuple[str, ...] = ()
    status: int = 200

    async def open(self, visitor: Visitor) -> None:
        await visitor.open(self.path, self.status)
        for beginning in self.links:
            href = await visitor.page.locator(f'main a[href^="{beginning}"]').first.get_attribute("href")
            assert href is not None
            await visitor.open(href)


TOUR = (
    Stop("sign-in", None, "/sign-in"),
    Stop("requests", "ana", "/requests"),
    Stop("request", "ana", "/requests", ("/requests/r_",)),
    Stop("live", "dora", "/live"),
    Stop("windows", "dora", "/windows"),
    Stop("window", "dora", "/windows?policy=analyst-read-only", ("/windows/w_",)),
    Stop("replay", "dora", "/windows?policy=analyst-read-only", ("/windows/w_", "/sessions/")),
    Stop("audit", "odile", "/audit"),
    Stop("refusals", "odile", "/audit?decision=deny"),
    Stop("execution", "odile", "/audit", ("/audit/executions/",)),
    Stop("refusal", "odile", "/audit?decision=deny", ("/audit/executions/",)),
    Stop("sql", "odile", "/audit/sql"),
    Stop("access", "dora", "/access"),
    Stop("access-of-a-group", "dora", f"/access?group={ANALYSTS}"),
    Stop("policies", "ana", "/policies"),
    Stop("policy", "ana", "/policies/analyst-read-only"),
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
    return sorted({entry.path for entry in PAGES if entry.title is not None} - {stop.path for stop in TOUR})
