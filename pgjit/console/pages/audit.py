"""Audit: executions by filters that are in the address, as a list, as CSV, and one of them with its records.

Decides how much of a text is shown. What is found is the API's.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Response

from pgjit.console.address_query import read_address_query
from pgjit.console.audit_away import away_of, is_away, shown_problem, tried
from pgjit.console.audit_filters import FILTERS, read_filters
from pgjit.console.page import ThePage
from pgjit.console.refusals import ConsoleApiProblem

__all__ = ["router"]

router = APIRouter()
_LIMIT: Final = 100
_CHARACTERS: Final = 400
_MOST_STATEMENT: Final = 50_000
_MOST_RECORD: Final = 50_000
_MOST_ROWS: Final = 100
_FIRST: Final = ("text", "identity", "object", "since", "until", "decision")


@router.get("/audit")
async def audit(page: ThePage) -> Response:
    """The form, the executions that it finds, and the searches that were saved."""
    query = read_address_query(page.request.url.query, FILTERS, also=("cursor",))
    if not query.clean:
        return page.to(f"/audit?{query.text}" if query.given else "/audit")
    filters = query.without("cursor")
    asked = {**query.given, "limit": _LIMIT, "characters": _CHARACTERS}
    found, saved = await asyncio.gather(
        tried(page.api.get("/audit/executions", asked)), tried(page.api.get("/audit/searches"))
    )
    problem = shown_problem(found) if isinstance(found, ConsoleApiProblem) else None
    return away_of(
        problem,
        page.show(
            "audit.html",
            status=200 if problem is None else problem.status,
            fields=FILTERS,
            first=_FIRST,
            given=filters.given,
            query=filters.text,
            more_open=any(name not in _FIRST for name in filters.given),
            found=None if problem is not None else found,
            problem=problem,
            saved=_saved(saved),
        ),
    )


@router.get("/audit/executions.csv")
async def executions_csv(page: ThePage) -> Response:
    """The same search as a file."""
    filters = read_filters(page.request.url.query)
    return page.file(await page.api.stream("/audit/executions.csv", filters.given))


@router.get("/audit/executions/{session}/{number}")
async def execution(session: str, number: int, page: ThePage) -> Response:
    """One execution: its text, decision and outcome, its window and session, the rows that were kept, its records."""
    try:
        found = await page.api.get(f"/audit/executions/{session}/{number}")
    except ConsoleApiProblem as problem:
        if not is_away(problem):
            raise
        return away_of(problem, page.show("audit-away.html", status=problem.status, problem=problem))
    shown = found.get("execution")
    if shown is None:
        raise ConsoleApiProblem(
            404, {"title": "this record is no execution", "status": 404, "reference": "record-unknown"}
        )
    statement = str(shown.get("statement", ""))
    return page.show(
        "execution.html",
        execution=shown,
        statement=statement[:_MOST_STATEMENT],
        statement_cut=len(statement) > _MOST_STATEMENT,
        violations=[_violation(statement, each) for each in shown.get("violations") or ()],
        parameters=_parameters(shown.get("parameters")),
        session=found.get("session"),
        window=found.get("window"),
        result=_result(found.get("result")),
        records=[_record(each) for each in found.get("records", ())],
        notices=found.get("notices", []),
    )


def _saved(found: dict[str, Any] | ConsoleApiProblem) -> list[dict[str, Any]] | ConsoleApiProblem:
    """The searches that have filters, each with its address; the problem where they cannot be read now."""
    if isinstance(found, ConsoleApiProblem):
        return found
    return [
        {**each, "href": f"/audit?{urlencode({name: _written(value) for name, value in each['filter'].items()})}"}
        for each in found["items"]
        if each["filter"] is not None
    ]


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _violation(statement: str, violation: dict[str, Any]) -> dict[str, Any]:
    """The violation with `before`, `at` and `after`: the statement around the character that the rule names."""
    position = violation.get("position")
    if not isinstance(position, int) or not 0 < position <= len(statement):
        return violation
    begin, end = max(0, position - 1 - 120), position + 120
    return {
        **violation,
        "before": statement[begin : position - 1],
        "at": statement[position - 1 : position],
        "after": statement[position:end],
    }


def _parameters(parameters: object) -> str | None:
    if parameters is None:
        return None
    values = parameters.get("values", parameters) if isinstance(parameters, dict) else parameters
    return _cut(json.dumps(values, ensure_ascii=False, indent=1))


def _result(result: dict[str, Any] | None) -> dict[str, Any] | None:
    """The first of the kept rows, as texts."""
    if result is None or "fault" in result:
        return result
    rows = result.get("rows") or []
    named = result.get("columns") or [{"name": str(n)} for n in range(1, 1 + max(map(len, rows), default=0))]
    cells = [[_cell(value) for value in row] for row in rows[:_MOST_ROWS]]
    return {"columns": [str(each.get("name")) for each in named], "rows": cells, "more": len(rows) - len(cells)}


def _cell(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "…"


def _record(record: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(record, ensure_ascii=False, indent=2)
    return {"seq": record.get("seq"), "type": record.get("type"), "text": _cut(text)}


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_RECORD else text[:_MOST_RECORD] + "\n…"
