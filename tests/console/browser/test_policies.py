"""A statement is tried in a browser, by keyboard alone; health is read again by itself, or reported as unread."""

from __future__ import annotations

import pytest
from playwright.async_api import Route, expect

from tests.console.browser.conftest import Visit
from tests.console.browser.town import Town
from tests.console.browser.visitor import WIDTHS, Look, Theme

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

HOSTILE = "SELECT 1;\n  DELETE FROM customers WHERE note = '<img src=x onerror=alert(1)>\u202e'"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_statement_is_explained_with_a_caret(town: Town, visit: Visit, theme: Theme, width: str) -> None:
    visitor = await visit(town.ana, Look(theme, WIDTHS[width]))
    page = visitor.page
    await visitor.open("/policies/analyst-read-only")
    await page.get_by_role("textbox", name="Statement").focus()
    await page.keyboard.insert_text(HOSTILE)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    answer = page.locator("#answer")
    await expect(answer).to_contain_text("denied")
    await expect(answer.locator(".pointed").first).to_contain_text("LINE 2:")
    mark = answer.locator(".pointed mark").first
    await expect(mark).to_be_visible()
    assert await mark.evaluate('e => getComputedStyle(e, "::after").content') == '"^"'
    assert await page.locator("#answer img").count() == 0
    await visitor.check_access()
    await visitor.check_width()
    await answer.locator('a[href^="#L"]').first.click()
    assert await page.locator("li:target").count() == 1


async def test_health_is_read_again_and_marked_as_old_where_it_cannot_be(town: Town, visit: Visit) -> None:
    visitor = await visit(town.dora)
    page = visitor.page
    await page.clock.install()
    await visitor.open("/health")
    async with page.expect_response("**/health/checks") as read:
        await page.clock.fast_forward(11_000)
    assert (await read.value).status == 200
    await expect(page.locator(".stale")).to_have_count(0)

    async def fail(route: Route) -> None:
        await route.fulfill(status=503, body="away")

    visitor.watch.statuses.add(503)
    await page.route("**/health/checks", fail)
    await page.clock.fast_forward(11_000)
    await expect(page.locator(".stale")).to_contain_text("what is below is old")
    await visitor.check_access()
    await page.unroute("**/health/checks")
    await page.clock.fast_forward(11_000)
    await expect(page.locator(".stale")).to_have_count(0)
