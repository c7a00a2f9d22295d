"""A page that waits for the journal looks again by itself, which is no use of the sign-in."""

from __future__ import annotations

import pytest
from playwright.async_api import Route, expect

from tests.console.browser.conftest import Visit
from tests.console.browser.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

_MAIN = '<main id="main" tabindex="-1">'


async def test_only_the_answer_is_opened_like_a_page(town: Town, visit: Visit) -> None:
    visitor = await visit(town.odile)
    page = visitor.page
    await page.clock.install()
    live: list[str | None] = []  # of each request, the header of a page that reads itself again

    async def preparing(route: Route) -> None:
        live.append(await route.request.header_value("x-pgjit-live"))
        answer = await route.fetch()
        text = await answer.text()
        if len(live) < 4:
            text = text.replace(_MAIN, f'{_MAIN}<p data-again="30">look {len(live)}</p>')
        await route.fulfill(response=answer, body=text)

    await page.route("**/audit", preparing)
    await visitor.open("/audit")
    for number in (1, 2, 3):
        await expect(page.locator("[data-again]")).to_have_text(f"look {number}")
        await page.clock.fast_forward(31_000)
    await expect(page.locator("[data-again]")).to_have_count(0)
    await visitor.check_access()
    assert live == [None, "1", "1", "1", None]
