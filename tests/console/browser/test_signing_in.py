"""A person signs in at the identity provider and out again, in a browser."""

from __future__ import annotations

import pytest

from pgjit.console.pages import PAGES
from tests.console.browser.conftest import Visit
from tests.console.browser.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_a_person_signs_in_and_out(town: Town, visit: Visit) -> None:
    ana = await visit(None)
    await ana.open("/")
    assert ana.path.startswith("/sign-in")
    if not PAGES:
        ana.watch.statuses.add(403)  # there is no page that she may open
    await ana.sign_in(town.ana)
    await ana.page.get_by_role("banner").get_by_text("ana@example.com").wait_for()
    await ana.page.get_by_role("button", name="Sign out").click()
    await ana.page.get_by_text("You are signed out").wait_for()
    await ana.open("/")
    assert ana.path.startswith("/sign-in")
