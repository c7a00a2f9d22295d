"""The filter of executions: every name and bound of it."""

from __future__ import annotations

from pathlib import Path

from pgjit.api.audit_filter import FilterBody
from pgjit.audit.reading.execution_list import ExecutionFilter
from tests.api.people import People


def test_every_filter_is_one_of_the_list() -> None:
    others: dict[str, object] = {"decision": "deny", "after_end": True, "catalog": True}
    every = FilterBody.model_validate({**dict.fromkeys(FilterBody.model_fields, "x"), **others}).chosen
    assert len(every) == len(FilterBody.model_fields)
    moments = {"since": None, "until": None}
    assert ExecutionFilter(**{**every, **moments}).touches == "x"


MALFORMED = [
    "identiy=ana",  # misspelt: everything would be taken for the answer
    "decision=maybe",
    "text=",
    "text=" + "x" * 513,
    "policy=a%0ab",
    "limit=50001",
    "limit=x",
    "cursor=x",
    "characters=1",
    "after_end=perhaps",
    "text=a&text=b&nothing=1",
]


async def test_a_malformed_filter_reaches_nobody(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        for path in ("audit/executions", "audit/executions.csv"):
            for query in MALFORMED:
                refused = await api.get(f"{path}?{query}", "auditor")
                assert (path, query, refused.status_code in (400, 422)) == (path, query, True), refused.text
        assert api.audit.questions == []
        assert api.calls() == []


async def test_csv_is_a_file_that_says_whether_it_is_all(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        found = await api.get("audit/executions.csv?decision=deny&limit=7", "auditor")
        assert (found.text, found.headers["content-type"]) == ("seq\n7\n", "text/csv; charset=utf-8")
        assert found.headers["content-disposition"] == 'attachment; filename="executions-first-7.csv"'
        assert (found.headers["x-pgjit-more"], found.headers["x-pgjit-complete"]) == ("true", "true")
        [asked] = api.audit.questions
        assert (asked["ask"], asked["limit"], asked["filter"]["decision"]) == ("executions-csv", 7, "deny")
