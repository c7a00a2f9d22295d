"""Reports: plots with their figures as tables, of a period that is in the address."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from pgjit.api.refusals import CallRefused
from tests.console.audit_answers import HOSTILE, REPORT, assert_text_only
from tests.console.visits import Visits


async def test_each_part_has_its_plot_and_the_figures_behind_it(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["report"] = REPORT
        page = await ana.get("/reports")
        assert page.status_code == 200, page.text
        assert visits.audit.questions == [{"ask": "report", "name": None, "filter": {"since": "7d"}}]
        assert page.text.count('<svg class="plot" role="img"') == 2
        for text in ("10 allowed, 2 refused, 1 failed", "7,000", 'href="/windows/w_1"', "None.", "of more"):
            assert text in page.text
        assert_text_only(page.text)
        assert "style=" not in page.text
        assert visits.calls()[-1] == ("auditor", "auditor", "GET", "/audit/report")


async def test_a_period_is_in_the_address(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["report"] = REPORT
        page = await ana.get("/reports?since=2026-11-01&until=yesterday")
        assert visits.audit.questions[0]["filter"] == {"since": "2026-11-01", "until": "yesterday"}
        assert 'value="2026-11-01"' in page.text
        assert "/reports/rows.csv?since=2026-11-01&amp;until=yesterday" in page.text
        assert (await ana.get("/reports?since=&until=")).headers["location"] == "/reports"


@pytest.mark.parametrize("query", ["form=x", "since=a%00", f"since={'x' * 201}", "since=1&since=2", "until=%ff"])
async def test_a_malformed_period_asks_nobody(query: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        for path in ("/reports", "/reports/rows.csv"):
            assert (await ana.get(f"{path}?{query}")).status_code == 400
        assert visits.audit.questions == []


async def test_a_moment_that_is_none_is_told_beside_the_form(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.fault = CallRefused("`soon` is no moment", reference="invalid-moment", status=400)
        page = await ana.get("/reports?since=soon")
        assert page.status_code == 400
        assert 'value="soon"' in page.text
        assert "`soon` is no moment" in page.text


async def test_a_part_as_a_file_has_no_formula(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["report"] = REPORT
        file = await ana.get("/reports/rows.csv?since=2h")
        assert file.headers["content-disposition"] == 'attachment; filename="report-rows.csv"'
        rows = list(csv.reader(io.StringIO(file.text)))
        assert (rows[0], rows[2]) == (["who", "rows"], ["'=1+1", "1"])
        assert "\u202e" not in file.text
        assert HOSTILE[:8] in rows[1][0]
        assert visits.audit.questions[0]["name"] == "rows"
        for part in ("nothing", "..", "rows%0d%0a"):
            assert (await ana.get(f"/reports/{part}.csv")).status_code == 404
        assert len(visits.audit.questions) == 1


async def test_a_large_report_is_bounded(tmp_path: Path) -> None:
    items = [{"who": "x" * 5000, "rows": n} for n in range(1000)]
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        parts = {"rows": {**REPORT["parts"]["rows"], "items": items, "more": True}}
        visits.audit.answers["report"] = {**REPORT, "parts": parts}
        page = await ana.get("/reports")
        assert len(page.content) < 500_000
