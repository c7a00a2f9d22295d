"""The story of `pgjit demo` in a browser: Ana sees an agent's request, approves half its time, watches, stops it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from rich.console import Console

from pgjit.demo import review_act
from pgjit.demo.console_act import ConsoleAct
from pgjit.demo.database import DemoDatabase
from pgjit.demo.stage import Stage
from pgjit.demo.window_act import LONG_QUERY
from pgjit.demo.world import World
from tests.console.browser.chromium import need_chromium
from tests.console.browser.town import Town
from tests.console.browser.visitor import Visitor, Visitors
from tests.demo.acting import acting
from tests.run.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

CONFIG = {"api": {"roles": {"admin": [review_act.ADMINS]}}}


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    need_chromium()
    database: DemoDatabase = request.getfixturevalue("database")
    async with World(folder=tmp_path, database=database, config=CONFIG, console=True) as world:
        yield world


async def test_ana_approves_watches_and_stops_an_agent(chromium: Browser, world: World) -> None:
    ana = review_act.add_person(world)
    async with AsyncExitStack() as stack:
        act = await stack.enter_async_context(acting(ConsoleAct(Stage(world, Console(file=io.StringIO())))))
        # In the demo there is one person.
        town = Town(world, ana, ana, ana, ana, ana, ana, ana, stack)
        visitor = await Visitors(chromium, town).enter(stack, None)
        await visitor.open("/")
        await visitor.sign_in(ana)
        await _approve(visitor)
        await until(lambda: any("approved" in each for each in act.said))
        await _stop(visitor)
        await until(lambda: any("is over" in each for each in act.said))
        visitor.watch.check()


async def _approve(visitor: Visitor) -> None:
    """The request comes into the inbox that is open."""
    page = visitor.page
    await page.locator('main a[href^="/requests/r_"]').first.click()
    await expect(page.get_by_role("main")).to_contain_text(review_act.REASON)
    await page.get_by_label("half of it, 10 min").check()
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("status").first).to_contain_text("Approved")


async def _stop(visitor: Visitor) -> None:
    page = visitor.page
    await page.get_by_role("link", name="Live").click()
    await expect(page.get_by_role("main")).to_contain_text(LONG_QUERY)
    row = page.locator("#windows-part tr", has_text=review_act.POLICY)
    await row.get_by_text("Revoke", exact=True).first.click()
    await row.get_by_label("Why").fill("wrong table")
    await row.get_by_role("button", name="Revoke").click()
    await expect(page.get_by_role("main")).to_contain_text("revoked")
