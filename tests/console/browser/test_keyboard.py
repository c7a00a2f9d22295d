"""What matters most is done with the keyboard alone, and one sees where one is."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

from pgjit.demo.world import MIGRATIONS
from tests.console.browser.conftest import Visit
from tests.console.browser.town import Town
from tests.console.browser.visitor import Look

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

_MOST = 80
_OUTLINE = "() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]; }"


async def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until `wanted` has the focus. On each stop the focus can be seen."""
    for _ in range(_MOST):
        await page.keyboard.press("Tab")
        style, width = await page.evaluate(_OUTLINE)
        assert (style, width) not in {("none", "0px"), ("none", "3px")}, await page.evaluate(
            "() => document.activeElement.outerHTML.slice(0, 200)"
        )
        if await wanted.evaluate("(each) => each === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is not reached by {_MOST} times Tab")


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_a_request_is_approved_with_half_its_time(town: Town, visit: Visit, javascript: bool) -> None:
    reason = f"by keyboard, {javascript}"
    await town.request(town.new_agent("keyboard-agent", MIGRATIONS), reason)
    ana = await visit(town.ana, Look(width=360, javascript=javascript))
    page = ana.page
    await ana.open("/requests")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await tab_to(page, page.get_by_role("link", name=reason))
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", level=1, name="Request of").wait_for()
    await tab_to(page, page.get_by_label("20 min, as asked"))
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_label("half of it, 10 min")).to_be_checked()
    await tab_to(page, page.get_by_role("button", name="Approve"))
    await page.keyboard.press("Enter")
    await expect(page.locator("#request-part .badge").first).to_contain_text("approved")
    await expect(page.locator("#request-part").get_by_text("10 min").first).to_be_visible()


async def test_a_session_is_killed(town: Town, visit: Visit) -> None:
    session = await town.live_session("tabbed-agent")
    await town.keep_running(session, "SELECT pg_sleep(2998) AS tabbed")
    dora = await visit(town.dora)
    await dora.open("/live")
    row = dora.page.locator("#sessions-part tr").filter(has_text="tabbed-agent")
    await tab_to(dora.page, row.locator("summary"))
    await dora.page.keyboard.press("Enter")
    await tab_to(dora.page, row.get_by_label("Why"))
    await dora.page.keyboard.type("by keyboard")
    await dora.page.keyboard.press("Enter")
    assert "by keyboard" in str(await town.outcome(session))
