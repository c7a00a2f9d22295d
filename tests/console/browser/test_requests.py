"""Reviewers decide in a browser: what they choose is what the agent gets, and what has changed meanwhile is said."""

from __future__ import annotations

import psycopg
import pytest
from playwright.async_api import Locator, expect

from pgjit.demo.world import MIGRATIONS, REVIEWERS
from tests.console.browser.conftest import Visit
from tests.console.browser.town import Town
from tests.console.browser.visitor import Look, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def open_request(visitor: Visitor, reason: str) -> None:
    await visitor.open("/requests")
    await visitor.page.get_by_role("link", name=reason).click()
    await visitor.page.get_by_role("heading", level=1, name="Request of").wait_for()


def state(visitor: Visitor) -> Locator:
    return visitor.page.locator("#request-part .badge").first


async def test_a_request_appears_while_the_page_is_open(town: Town, visit: Visit) -> None:
    ana = await visit(town.ana)
    async with ana.page.expect_response("**/events*"):
        await ana.open("/requests")
    await town.request(town.new_agent("late-agent", MIGRATIONS), "it came while she looked")
    await expect(ana.page.get_by_role("link", name="it came while she looked")).to_be_visible()
    await expect(ana.page.locator("#live")).to_contain_text("late-agent")


async def test_a_refusal_reaches_the_agent_with_its_reason(town: Town, visit: Visit) -> None:
    agent, reason = town.new_agent("hasty-agent", MIGRATIONS), "I just want to"
    await town.request(agent, reason)
    ana = await visit(town.ana)
    await open_request(ana, reason)
    await ana.page.get_by_label("Why not").fill("not during the freeze <b>ever</b>")
    await ana.page.get_by_role("button", name="Refuse").click()
    await expect(state(ana)).to_contain_text("refused")
    await expect(ana.page.get_by_text("not during the freeze <b>ever</b>").first).to_be_visible()
    with pytest.raises(psycopg.OperationalError, match="not during the freeze"):
        await town.connect(agent, "orders-migration", "prod-primary", reason)


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_a_time_that_cannot_be_given_is_refused_where_it_was_typed(
    town: Town, visit: Visit, javascript: bool
) -> None:
    reason = f"how long, {'with' if javascript else 'without'}"
    await town.request(town.new_agent("patient-agent", MIGRATIONS), reason)
    ana = await visit(town.ana, Look(javascript=javascript))
    ana.watch.statuses.update((400, 422))
    for given in ("3h", "soon", "-5m", "0m"):
        await open_request(ana, reason)
        await ana.page.get_by_label("a shorter time:").check()
        await ana.page.get_by_label("The shorter time").fill(given)
        await ana.page.get_by_role("button", name="Approve").click()
        await expect(ana.page.get_by_text("Nothing was changed")).to_be_visible()
    await open_request(ana, reason)
    await expect(state(ana)).to_contain_text("pending")


async def test_a_time_that_is_typed_is_the_time_that_is_selected(town: Town, visit: Visit) -> None:
    reason = "typed without a click"
    await town.request(town.new_agent("brief-agent", MIGRATIONS), reason)
    ana = await visit(town.ana)
    await open_request(ana, reason)
    typed = ana.page.get_by_label("The shorter time")
    await typed.fill("5m")
    await expect(ana.page.get_by_label("a shorter time:")).to_be_checked()
    await ana.page.get_by_label("half of it").check()
    await expect(typed).to_have_value("")
    await typed.fill("5m")
    await ana.page.get_by_role("button", name="Approve").click()
    await expect(ana.page.locator("#request-part")).to_contain_text("5 min")


async def test_a_form_that_says_two_times_is_refused(town: Town, visit: Visit) -> None:
    reason = "two times at once"
    await town.request(town.new_agent("torn-agent", MIGRATIONS), reason)
    ana = await visit(town.ana, Look(javascript=False))
    ana.watch.statuses.add(400)
    await open_request(ana, reason)
    await ana.page.get_by_label("The shorter time").fill("5m")
    await ana.page.get_by_role("button", name="Approve").click()
    await expect(ana.page.get_by_role("alert")).to_contain_text("two times")
    await open_request(ana, reason)
    await expect(state(ana)).to_contain_text("pending")


async def test_of_two_reviewers_the_second_reads_that_it_is_decided(town: Town, visit: Visit) -> None:
    agent, reason = town.new_agent("twice-agent", MIGRATIONS), "looked at by two"
    await town.request(agent, reason)
    ben = town.new_person("Ben", REVIEWERS)
    ana, other = await visit(town.ana), await visit(ben)
    await open_request(ana, reason)
    await open_request(other, reason)
    await other.page.get_by_label("Comment").fill("I look first")
    await ana.page.get_by_role("button", name="Approve").click()
    await expect(state(ana)).to_contain_text("approved")
    # Ben is typing: his words stay, and what he would decide by is over.
    await expect(state(other)).to_contain_text("approved")
    await expect(other.page.get_by_label("Comment")).to_have_value("I look first")


async def test_an_agent_cannot_sign_in(town: Town, visit: Visit) -> None:
    visitor = await visit(None)
    await visitor.open("/sign-in")
    await visitor.page.get_by_role("link", name="Sign in with").click()
    await expect(visitor.page.get_by_role("button", name="Ana")).to_be_visible()
    assert await visitor.page.get_by_role("button", name="migration-agent").count() == 0
