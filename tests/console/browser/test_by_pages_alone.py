"""What a reviewer, a DBA on call and an auditor have to be able to do, from the sign-in on, with the pages alone."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from playwright.async_api import expect

from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import RegisteredPrincipal
from pgjit.demo.world import MIGRATIONS
from tests.console.browser.chromium import need_chromium
from tests.console.browser.conftest import Visit
from tests.console.browser.town import Town, open_town, play_yesterday
from tests.console.browser.visitor import Visitor
from tests.e2e.worlds import ask
from tests.run.processes import Finished, finish_async
from tests.run.waiting import until_it_holds

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

RUNAWAY = "SELECT count(*) FROM order_lines a, order_lines b, order_lines c"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Town]:
    """One whose journal begins yesterday."""
    need_chromium()
    database: DemoDatabase = request.getfixturevalue("database")
    folder = Path(tmp_path_factory.mktemp("town"))
    await play_yesterday(database, folder)
    async with open_town(database, folder) as opened:
        yield opened


async def arrive(visit: Visit, person: RegisteredPrincipal) -> Visitor:
    visitor = await visit(None)
    await visitor.open("/")
    await visitor.sign_in(person)
    return visitor


async def follow(visitor: Visitor, page: str) -> None:
    """By the navigation."""
    await visitor.page.get_by_role("navigation", name="Pages").get_by_role("link", name=page).click()
    await expect(
        visitor.page.get_by_role("link", name=page).and_(visitor.page.locator("[aria-current]"))
    ).to_be_visible()


async def test_a_reviewer_approves_a_request_with_half_its_time(town: Town, visit: Visit) -> None:
    agent, reason = town.new_agent("half-agent", MIGRATIONS), "two notes to correct"
    await town.request(agent, reason)
    ana = await arrive(visit, town.ana)
    await ana.page.get_by_role("link", name=reason).click()
    await expect(ana.page.get_by_role("main")).to_contain_text("half-agent")
    await ana.page.get_by_label("half of it, 10 min").check()
    await ana.page.get_by_role("button", name="Approve").click()
    await expect(ana.page.locator("#request-part .badge").first).to_contain_text("approved")
    async with await town.connect(agent, "orders-migration", "prod-primary", reason) as session:
        left = await (await session.execute("SHOW pgjit.remaining")).fetchone()
        assert left is not None
        hours, minutes, seconds = (int(part) for part in re.findall(r"\d+", str(left[0]))[:3])
        assert timedelta(hours=hours, minutes=minutes, seconds=seconds) <= timedelta(minutes=10)


async def test_a_dba_stops_a_runaway_query(town: Town, visit: Visit) -> None:
    session = await town.live_session("runaway-agent")
    await town.keep_running(session, RUNAWAY)
    dora = await arrive(visit, town.dora)
    await follow(dora, "Live")
    row = dora.page.locator("#sessions-part tr").filter(has_text=RUNAWAY)
    await expect(row).to_contain_text("runaway-agent")
    await row.locator("summary").click()
    await row.get_by_label("Why").fill("three times itself, without a condition")
    await row.get_by_role("button", name="Kill").click()
    with pytest.raises(psycopg.Error, match="three times itself"):
        raise await town.outcome(session)

    async def stopped() -> bool:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE query = $1"
        return await ask(town.world.database, sql, RUNAWAY) == 0

    await until_it_holds(stopped)
    await expect(dora.page.locator("#sessions-part tr").filter(has_text=RUNAWAY)).to_have_count(0)


async def test_an_auditor_tells_who_read_customers_yesterday(town: Town, visit: Visit) -> None:
    odile = await arrive(visit, town.odile)
    await follow(odile, "Audit")
    await odile.page.get_by_label("Relation or function").fill("customers")
    await odile.page.get_by_label("Since").fill("yesterday")
    await odile.page.get_by_label("Until").fill("today")
    await odile.page.get_by_role("button", name="Search").click()
    rows = odile.page.locator("main table tbody tr")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("yesterdays-agent")
    await expect(rows).to_contain_text("FROM customers")


async def test_an_auditor_proves_that_a_record_is_genuine(town: Town, visit: Visit, tmp_path: Path) -> None:
    odile = await arrive(visit, town.odile)
    await follow(odile, "Proof")
    await odile.page.locator("summary").filter(has_text="Public keys").first.click()
    key = (await odile.page.get_by_label("Public key").first.inner_text()).strip()
    await follow(odile, "Audit")
    await odile.page.locator("main table").get_by_role("link").first.click()
    await odile.page.get_by_role("link", name=re.compile("Prove that record")).click()
    async with odile.page.expect_download() as waiting:
        await odile.page.get_by_role("link", name="Download the proof").click()
    proof = tmp_path / "record.proof"
    await (await waiting.value).save_as(proof)
    genuine = await check(proof, key)
    assert genuine.status == 0, genuine.err
    assert '"type":"execution"' in genuine.out
    forged = tmp_path / "forged.proof"
    forged.write_text(with_another_name(proof.read_text()))
    assert (await check(forged, key)).status == 1


def with_another_name(proof: str) -> str:
    """The same proof, of a line that names somebody else."""
    line = re.search("^extra (.*)$", proof, re.MULTILINE)
    assert line is not None
    record = base64.b64decode(line[1])
    changed = record.replace(b'"identity":"', b'"identity":"0', 1)
    assert changed != record
    return proof.replace(line[1], base64.b64encode(changed).decode())


async def check(proof: Path, key: str) -> Finished:
    """As anybody does who has the public key: with the command line, and nothing of this pgjit."""
    command = (sys.executable, "-m", "pgjit", "audit", "check-proof", str(proof), "--key", key)
    return await finish_async(*command, seconds=120)
