"""Auditors read in a browser: a search is its address, SQL is answered or explained, reports have their figures."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from tests.console.browser.conftest import Visit
from tests.console.browser.town import Town
from tests.console.browser.visitor import Look, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


def found(visitor: Visitor) -> Locator:
    return visitor.page.locator("main table tbody tr")


async def downloaded(visitor: Visitor, link: Locator) -> str:
    async with visitor.page.expect_download() as waiting:
        await link.click()
    return Path(await (await waiting.value).path()).read_text()


async def test_a_search_is_in_the_address_and_has_the_same_answer_for_a_colleague(town: Town, visit: Visit) -> None:
    odile = await visit(town.odile)
    await odile.open("/audit")
    await odile.page.get_by_label("Text", exact=False).first.fill("email")
    await odile.page.get_by_role("button", name="Search").click()
    await expect(found(odile).filter(has_text="SELECT email FROM customers")).to_have_count(1)
    await expect(found(odile).filter(has_text="order_lines")).to_have_count(0)
    address = odile.path
    assert "email" in address
    dora = await visit(town.dora)
    await dora.open(address)
    await expect(found(dora).filter(has_text="SELECT email FROM customers")).to_have_count(1)
    rows = list(csv.DictReader(io.StringIO(await downloaded(dora, dora.page.get_by_role("link", name="CSV")))))
    assert any("SELECT email" in row["statement"] for row in rows)


async def test_a_search_is_saved_and_deleted(town: Town, visit: Visit) -> None:
    odile = await visit(town.odile)
    await odile.open("/audit?text=payments")
    await odile.page.get_by_text("Save this search").click()
    await odile.page.get_by_label("Name").fill("who looks at payments")
    await odile.page.get_by_role("button", name="Save", exact=True).click()
    await odile.open("/audit")
    await odile.page.locator("summary").filter(has_text="Saved").click()
    await odile.page.get_by_role("link", name="who looks at payments").click()
    await expect(found(odile).filter(has_text="payments").first).to_be_visible()
    await odile.page.locator("summary").filter(has_text="Saved").click()
    await odile.page.get_by_role("button", name="Delete who looks at payments").click()
    await expect(odile.page.get_by_role("link", name="who looks at payments")).to_have_count(0)


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
async def test_sql_is_answered_or_the_fault_is_shown_where_it_is(town: Town, visit: Visit, javascript: bool) -> None:
    odile = await visit(town.odile, Look(javascript=javascript))
    odile.watch.statuses.update((400, 422))
    await odile.open("/audit/sql")
    query = odile.page.get_by_label("One SELECT")
    await query.fill("SELECT display, count(*) AS n FROM executions GROUP BY 1 ORDER BY 2 DESC")
    await odile.page.get_by_role("button", name="Run").click()
    await expect(found(odile).filter(has_text="report-agent")).to_have_count(1)
    for wrong in (
        "DELETE FROM executions",
        "SELECT nothing FROM executions",
        "SELECT * FROM read_csv('/etc/passwd')",
    ):
        await query.fill(wrong)
        await odile.page.get_by_role("button", name="Run").click()
        await expect(odile.page.get_by_role("alert")).to_be_visible()
        await expect(query).to_have_value(wrong)
        if javascript:  # axe-core is a script
            await odile.check_access()


async def test_a_statement_with_markup_and_direction_characters_is_text(town: Town, visit: Visit) -> None:
    odile = await visit(town.odile)
    await odile.open("/audit?text=onmouseover")
    await expect(found(odile).first).to_contain_text("<b onmouseover=alert(1)>bold</b>")
    await expect(found(odile).first.locator(".unseen")).to_contain_text("202E")
    await found(odile).first.get_by_role("link").first.click()
    await expect(odile.page.locator("pre.sql").first).to_contain_text("<b onmouseover=alert(1)>bold</b>")
    assert await odile.page.locator("main b").count() == 0


async def test_a_report_has_its_plots_with_their_figures_behind(town: Town, visit: Visit) -> None:
    odile = await visit(town.odile)
    await odile.open("/reports")
    plots = odile.page.locator("main svg")
    assert await plots.count() > 0
    for figures in await odile.page.locator("summary").filter(has_text="The figures").all():
        await figures.click()
    await expect(odile.page.get_by_role("table").filter(has_text="report-agent").first).to_be_visible()
    await odile.check_access()


async def test_the_journal_is_verified_with_its_progress(town: Town, visit: Visit) -> None:
    odile = await visit(town.odile)
    await odile.open("/proof")
    await odile.page.get_by_role("button", name="Verify now").click()
    await expect(odile.page.get_by_text("Intact")).to_be_visible()
    await odile.check_access()
