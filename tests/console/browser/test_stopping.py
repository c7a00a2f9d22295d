"""Those on call watch and stop: sessions, windows, identities. The end comes with its proof, on the open page."""

from __future__ import annotations

import re

import psycopg
import pytest
from playwright.async_api import Locator, expect

from pgjit.demo.world import SCHEMA_CHECKS
from tests.console.browser.conftest import Visit
from tests.console.browser.town import Connection, Town
from tests.console.browser.visitor import Look, Visitor
from tests.run.waiting import until_it_holds

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


def row(visitor: Visitor, part: str, agent: str) -> Locator:
    return visitor.page.locator(f"#{part}-part tr").filter(has_text=agent)


async def send(form: Locator, word: str, reason: str) -> None:
    """Open the form behind `word`, and send it."""
    form = form.locator("details").filter(has=form.page.locator("summary", has_text=word))
    await form.locator("summary").click()
    await form.get_by_label("Why").fill(reason)
    await form.get_by_role("button", name=word).click()


async def run_long(town: Town, name: str) -> tuple[Connection, str]:
    session = await town.live_session(name)
    statement = f"SELECT pg_sleep(2999), '{name}' AS by"
    await town.keep_running(session, statement)
    return session, statement


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_a_session_is_killed(town: Town, visit: Visit, javascript: bool) -> None:
    name = "hungry-agent" if javascript else "plain-hungry-agent"
    session, statement = await run_long(town, name)
    dora = await visit(town.dora, Look(javascript=javascript))
    await dora.open("/live")
    live = row(dora, "sessions", name)
    await expect(live).to_contain_text(statement)
    await send(live, "Kill", "too much load")
    await expect(row(dora, "windows", name)).to_be_visible()  # its window stays open
    with pytest.raises(psycopg.Error, match="too much load"):
        raise await town.outcome(session)
    if not javascript:  # the client hears of it a moment before the session is off the list

        async def gone() -> bool:
            await dora.open("/live")
            return await live.count() == 0

        await until_it_holds(gone)
    await expect(live).to_have_count(0)


async def test_a_window_is_revoked_and_its_end_is_proven_on_the_open_page(town: Town, visit: Visit) -> None:
    session, _ = await run_long(town, "wrong-agent")
    dora, watching = await visit(town.dora), await visit(town.dora)
    await watching.open("/live")
    await dora.open("/live")
    await send(row(dora, "windows", "wrong-agent"), "Revoke", "wrong table")
    with pytest.raises(psycopg.Error, match="wrong table"):
        raise await town.outcome(session)
    ended = watching.page.locator("#news li").filter(has_text="session of wrong-agent")
    await expect(ended).to_contain_text("backend gone")
    await expect(row(watching, "windows", "wrong-agent")).to_have_count(0)
    await dora.open("/windows?state=ended")
    await row_with(dora, "wrong-agent").get_by_role("link", name="its story").click()
    await expect(dora.page.get_by_text("backend gone").first).to_be_visible()
    await expect(dora.page.get_by_text("wrong table").first).to_be_visible()


def row_with(visitor: Visitor, text: str) -> Locator:
    return visitor.page.locator("main tr").filter(has_text=text).first


async def test_how_long_ago_something_was_counts_on_while_the_page_is_open(town: Town, visit: Visit) -> None:
    await town.live_session("patient-agent")
    dora = await visit(town.dora)
    await dora.open("/live")
    ago = row(dora, "windows", "patient-agent").locator("time > .ago").first
    await ago.evaluate("each => { each.textContent = 'as it was loaded'; }")
    await expect(ago).to_have_text(re.compile(r"\d+ (s|min) ago"))


async def test_an_identity_is_locked_and_the_lock_is_lifted(town: Town, visit: Visit) -> None:
    agent = town.new_agent("locked-agent", SCHEMA_CHECKS)
    session = await town.connect(agent, "jit-schema-checks")
    town.running.push_async_callback(session.close)
    dora = await visit(town.dora)
    await dora.open("/live")
    await row(dora, "windows", "locked-agent").get_by_role("link").click()
    await send(dora.page.locator("#orders-part"), "Lock this identity", "a token was found in a chat")
    await dora.open("/live")
    locked = row(dora, "locks", "a token was found in a chat")
    await expect(locked).to_be_visible()
    with pytest.raises(psycopg.OperationalError, match="a token was found"):
        await town.connect(agent, "jit-schema-checks")
    await send(locked, "Lift", "a new one was issued")
    await expect(dora.page.get_by_text("No lock is in force")).to_be_visible()


async def test_who_has_no_such_role_is_offered_no_button(town: Town, visit: Visit) -> None:
    for person in (town.ana, town.odile):
        visitor = await visit(person)
        await visitor.open("/live")
        for word in ("Kill", "Revoke", "Lock"):
            assert await visitor.page.locator("summary").filter(has_text=word).count() == 0
    nemo = await visit(None)
    nemo.watch.statuses.add(403)
    await nemo.open("/live")
    await nemo.sign_in(town.nobody)
    await expect(nemo.page.get_by_role("main")).to_contain_text("403")


async def test_the_story_of_a_window_has_its_refusals_and_leads_to_their_records(town: Town, visit: Visit) -> None:
    dora = await visit(town.dora)
    await dora.open("/windows?policy=analyst-read-only")
    await row_with(dora, "report-agent").get_by_role("link", name="its story").click()
    refused = dora.page.locator("tr.refused").filter(has_text="email")
    await expect(refused.first).to_contain_text("denied")
    await expect(dora.page.locator("tr.failed").filter(has_text="1 / 0")).to_contain_text("22012")
    await refused.first.get_by_role("link").click()
    await expect(dora.page.get_by_role("heading", level=1)).to_contain_text("Execution")
    await expect(dora.page.locator("pre:has(mark)").first).to_contain_text("email")
    await dora.check_access()


async def test_a_session_is_replayed_step_by_step(town: Town, visit: Visit) -> None:
    dora = await visit(town.dora)
    await dora.open("/windows?policy=analyst-read-only")
    await row_with(dora, "report-agent").get_by_role("link", name="its story").click()
    await dora.page.get_by_role("link", name="Replay of session").first.click()
    steps = dora.page.locator("#steps > li:visible")
    every = await steps.count()
    assert every > 5
    await dora.page.get_by_label("Step", exact=True).fill("0")
    await expect(steps).to_have_count(1)
    await dora.page.get_by_role("button", name="Step forward").click()
    await expect(steps).to_have_count(2)
    await dora.page.get_by_label("Speed").select_option("20")
    await dora.page.get_by_role("button", name="Play").click()
    await expect(steps).to_have_count(every)
    await dora.check_access()


async def test_a_window_is_said_to_have_written_only_what_it_wrote(town: Town, visit: Visit) -> None:
    """An UPDATE that was refused wrote nothing."""
    dora = await visit(town.dora)
    await dora.open("/windows?policy=analyst-read-only")
    await row_with(dora, "report-agent").get_by_role("link", name="its story").click()
    await expect(dora.page.get_by_role("main")).to_contain_text("wrote nothing")
