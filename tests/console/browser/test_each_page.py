"""Each page in both themes, on a phone and on a desk: it opens, behaves, is accessible, and fits."""

from __future__ import annotations

import itertools

import pytest

from tests.console.browser.conftest import Visit
from tests.console.browser.tour import TOUR, Stop, missing_stops
from tests.console.browser.town import Town
from tests.console.browser.visitor import THEMES, WIDTHS, Look, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def arrive(town: Town, visit: Visit, stop: Stop, look: Look) -> Visitor:
    visitor = await visit(None if stop.who is None else getattr(town, stop.who), look)
    await stop.open(visitor)
    return visitor


async def test_the_tour_has_each_page() -> None:
    assert missing_stops() == []


@pytest.mark.parametrize("stop", TOUR, ids=lambda stop: stop.name)
async def test_each_page_is_accessible_and_fits(town: Town, visit: Visit, stop: Stop) -> None:
    visitor = await arrive(town, visit, stop, Look())
    for theme, width in itertools.product(THEMES, WIDTHS.values()):
        await visitor.look(Look(theme, width))
        await visitor.check_access()
        await visitor.check_width()


@pytest.mark.parametrize("stop", TOUR, ids=lambda stop: stop.name)
async def test_each_page_is_there_without_javascript(town: Town, visit: Visit, stop: Stop) -> None:
    visitor = await arrive(town, visit, stop, Look(javascript=False))
    assert await visitor.page.locator("main h1").count() == 1
    assert await visitor.page.locator("main").inner_text() != ""


@pytest.mark.parametrize("path", ["/policies", "/reports", "/requests?state=all"])
async def test_a_phone_shows_all_of_a_table(town: Town, visit: Visit, path: str) -> None:
    visitor = await visit(town.odile, Look(width=min(WIDTHS.values())))
    await visitor.open(path)
    await visitor.page.locator("main details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    tables = visitor.page.locator("main .scroll")
    assert await tables.count() > 0
    cut = "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.ariaLabel)"
    assert await tables.evaluate_all(cut) == []
