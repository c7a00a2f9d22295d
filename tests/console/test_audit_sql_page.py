"""SQL over the journal's views: a form runs it, an address does not; faults have their place; results are bounded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pgjit.api.refusals import AuditPreparing, CallRefused
from pgjit.errors import ServerUnavailable
from tests.console.audit_answers import HOSTILE, assert_text_only
from tests.console.visits import Visits


def asked(visits: Visits) -> list[dict[str, Any]]:
    """The queries that ran: to get the token of a form, the tests open another page."""
    return [dict(each) for each in visits.audit.questions if each["ask"] in ("sql", "sql-csv")]


QUERY = "SELECT display,\n  count(*) FROM executions"


def form(**fields: str) -> dict[str, str]:
    return {"query": QUERY, "limit": "100", "do": "run", **fields}


async def test_an_address_fills_the_field_and_runs_nothing(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        page = await ana.get("/audit/sql?query=SELECT+%3Cb%3E%0D%0A1")
        assert "SELECT &lt;b&gt;\n1</textarea>" in page.text
        for query, said in (
            ("query=a%00b", "control characters"),
            (f"query={'x' * 4097}", "at most"),
            ("q=1", "none"),
        ):
            refused = await ana.get(f"/audit/sql?{query}")
            assert (refused.status_code, said in refused.text) == (400, True)
        assert visits.audit.questions == []


async def test_a_query_runs_and_is_recorded(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["sql"] = {"columns": ["who", "n"], "rows": [["ana", 3], [None, 4]], "more": True}
        page = await ana.post("/audit/sql", form(query=QUERY.replace("\n", "\r\n"), limit="500"))
        assert page.status_code == 200, page.text
        assert asked(visits) == [{"ask": "sql", "query": QUERY, "limit": 500, "characters": 300}]
        assert '<td class="number">3</td>' in page.text
        assert "there are more than 500" in page.text
        assert QUERY in page.text
        assert visits.calls()[-1] == ("auditor", "auditor", "POST", "/audit/sql")


@pytest.mark.parametrize(
    "fields",
    [
        {"query": ""},
        {"query": "  \n "},
        {"query": "x" * 4097},
        {"query": "a\x00b"},
        {"query": "a\x1bb"},
        {"limit": ""},
        {"limit": "10001"},
        {"limit": "-1"},
        {"do": ""},
        {"do": "drop"},
        {"do": "save", "name": ""},
        {"do": "save", "name": "x" * 101},
        {"do": "save", "name": "a\nb"},
    ],
)
async def test_a_malformed_form_runs_nothing(fields: dict[str, str], tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        assert (await ana.post("/audit/sql", form(**fields))).status_code == 400
        assert (asked(visits), visits.store.searches) == ([], {})


async def test_a_form_of_another_site_runs_nothing(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        assert (await ana.post("/audit/sql", form(csrf="no"))).status_code == 403
        crossed = await ana.post("/audit/sql", form(), headers={"sec-fetch-site": "cross-site"})
        assert crossed.status_code == 403
        assert asked(visits) == []


@pytest.mark.parametrize(
    ("position", "said", "marked"),
    [
        (8, "In line 1, at character 8:", "SELECT <mark>d</mark>isplay,"),
        (19, "In line 2, at character 3:", "  <mark>c</mark>ount(*) FROM"),
        (len(QUERY) + 1, "In line 2, at character 27:", "executions<mark>the end</mark>"),
    ],
)
async def test_a_fault_of_a_query_has_its_place(position: int, said: str, marked: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.fault = CallRefused(
            "syntax error", reference="audit-query", status=400, hint="DuckDB's SQL.", position=position
        )
        page = await ana.post("/audit/sql", form())
        assert page.status_code == 400
        assert said in page.text
        assert marked in page.text
        assert "Syntax error<" in page.text
        visits.audit.fault = CallRefused("x", reference="audit-query", status=400, position=9999)
        assert "In line" not in (await ana.post("/audit/sql", form())).text


async def test_texts_of_a_result_are_text_and_a_large_result_is_bounded(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        rows = [[HOSTILE, {"a": [HOSTILE]}, True, "y" * 5000] for _ in range(1000)]
        visits.audit.answers["sql"] = {"columns": [HOSTILE, "b", "c", "d"], "rows": rows, "more": True}
        page = await ana.post("/audit/sql", form(query=f"SELECT '{HOSTILE}'".replace("\x1b", "").replace("\x07", "")))
        assert page.status_code == 200
        assert "characters that are not visible in the field" in page.text
        assert_text_only(re.sub(r"<textarea.*?</textarea>", "", page.text, flags=re.DOTALL))
        assert "more are too long to show" in page.text
        assert len(page.content) < 2_000_000
        visits.audit.fault = CallRefused(HOSTILE, reference="audit-query", status=400, detail=HOSTILE, hint=HOSTILE)
        assert_text_only((await ana.post("/audit/sql", form())).text)


async def test_the_result_as_a_file(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        file = await ana.post("/audit/sql", form(do="csv"))
        assert (file.status_code, file.text) == (200, "seq\n7\n")
        assert file.headers["content-disposition"] == 'attachment; filename="query-first-10000.csv"'
        assert file.headers["content-type"] == "text/csv; charset=utf-8"
        assert asked(visits) == [{"ask": "sql-csv", "query": QUERY, "limit": 10_000}]
        assert visits.calls()[-1] == ("auditor", "auditor", "POST", "/audit/sql.csv")
        visits.audit.fault = CallRefused("syntax error", reference="audit-query", status=400, position=8)
        page = await ana.post("/audit/sql", form(do="csv"))
        assert (page.status_code, "In line 1, at character 8:" in page.text) == (400, True)


async def test_a_query_is_saved_opened_and_deleted(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        saved = await ana.post("/audit/sql", form(do="save", name="who <b>"))
        [kept] = visits.store.searches.values()
        assert (saved.status_code, saved.headers["location"]) == (303, f"/audit/sql?search={kept.id}")
        page = await ana.get(f"/audit/sql?search={kept.id}")
        assert "count(*) FROM executions</textarea>" in page.text
        assert "who &lt;b&gt;" in page.text
        assert "who &lt;b&gt;" not in (await ana.get("/audit")).text  # it has no filters
        assert "</textarea>" in (await ana.get("/audit/sql?search=q_none")).text
        await ana.post(f"/audit/searches/{kept.id}/delete", {"back": "/audit/sql"})
        assert (visits.store.searches, asked(visits)) == ({}, [])


async def test_an_audit_or_a_store_that_is_away_is_said(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.fault = AuditPreparing(30_000_000, 120_000_000, 42)
        page = await ana.post("/audit/sql", form())
        assert (page.status_code, page.headers["retry-after"]) == (503, "42")
        assert "The result is not known now:" in page.text
        assert QUERY in page.text  # what was typed is not lost
        visits.store.searches_fault = ServerUnavailable("window store cannot be used", reference="store-unavailable")
        page = await ana.get("/audit/sql")
        assert page.status_code == 200
        assert "What you saved is not known now:" in page.text
        assert (await ana.get("/audit/sql?search=q_1")).status_code == 503
