"""SQL over the journal's views: one SELECT, its rows as a table or as CSV, and queries that were saved.

Decides how much of a result is shown. A query runs by a form only: an address fills the field in, and runs nothing.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Response

from pgjit.console.address_query import QueryField, read_address_query
from pgjit.console.audit_away import away_of, shown_problem, tried
from pgjit.console.page import ConsolePage, TheForm, ThePage
from pgjit.console.refusals import ConsoleApiProblem
from pgjit.judging.text_position import line_at

__all__ = ["router"]

router = APIRouter()
_MOST_QUERY: Final = 4096  # as the API
_LIMITS: Final = ("100", "500", "1000")
_CSV_ROWS: Final = 10_000
_CELL: Final = 300
_SHOWN: Final = 400_000
"""Characters of a result that are shown; the file has all of it."""
_AROUND: Final = 60
_FIELDS: Final = {
    "query": QueryField(label="Query", most=_MOST_QUERY, lines=True),
    "search": QueryField(label="Saved query", most=100),
}


_READ: Final = (
    "SELECT DISTINCT display, oid, policy, min(time) AS first, count(*) AS times\nFROM executions\n"
    "WHERE list_contains(reads, 'public.customers') AND decision = 'allow'\n"
)


class ExampleQuery(NamedTuple):
    title: str
    query: str


EXAMPLES: Final = (
    ExampleQuery(
        "Who read a relation in the last 24 hours",
        f"{_READ}  AND time >= current_localtimestamp() - INTERVAL 24 HOUR\nGROUP BY ALL ORDER BY times DESC",
    ),
    ExampleQuery(
        "Who read a relation yesterday (UTC, without today)",
        f"{_READ}  AND time >= current_date - 1 AND time < current_date\nGROUP BY ALL ORDER BY times DESC",
    ),
    ExampleQuery(
        "What is refused most",
        "SELECT rules, policy, count(*) AS times, max(time) AS last\nFROM executions WHERE decision = 'deny'\n"
        "GROUP BY ALL ORDER BY times DESC",
    ),
    ExampleQuery(
        "The slowest statements",
        "SELECT time, display, duration_us // 1000 AS ms, rows, left(statement, 200) AS statement\nFROM executions\n"
        "ORDER BY duration_us DESC LIMIT 20",
    ),
    ExampleQuery(
        "How windows ended",
        'SELECT opened_at, display, policy, end_reason, ended_at, "window"\n'
        "FROM windows ORDER BY opened_at DESC LIMIT 50",
    ),
    ExampleQuery("Columns of a view", "DESCRIBE executions"),
)


@router.get("/audit/sql")
async def sql(page: ThePage) -> Response:
    """The field for a query, filled in from the address or from a saved query."""
    given = read_address_query(page.request.url.query, _FIELDS).given
    saved = await _saved(page)
    query = given.get("query", "")
    if (wanted := given.get("search")) is not None:
        if isinstance(saved, ConsoleApiProblem):
            raise saved
        query = next((each["query"] or "" for each in saved if each["id"] == wanted), "")
    return _show(page, query, saved)


@router.post("/audit/sql")
async def run(page: ThePage, form: TheForm) -> Response:
    """Run the query, save it, or get its result as a file."""
    what = form.choice("do", {"run", "csv", "save"})
    query = form.text("query", most=_MOST_QUERY)
    if what == "save":
        name = form.line("name", most=100)
        kept = await page.api.post("/audit/searches", {"name": name, "query": query})
        return page.to(f"/audit/sql?search={kept['id']}", f"The query is saved as {name}.")
    limit = form.choice("limit", _LIMITS)
    if what == "csv":
        return await _csv(page, query)
    asked = {"query": query, "limit": int(limit), "characters": _CELL}
    found, saved = await asyncio.gather(tried(page.api.post("/audit/sql", asked)), _saved(page))
    if isinstance(found, ConsoleApiProblem):
        return _show(page, query, saved, limit=limit, problem=shown_problem(found))
    return _show(page, query, saved, limit=limit, found=found)


async def _csv(page: ConsolePage, query: str) -> Response:
    try:
        stream = await page.api.stream("/audit/sql.csv", body={"query": query, "limit": _CSV_ROWS})
    except ConsoleApiProblem as problem:
        return _show(page, query, await _saved(page), problem=shown_problem(problem))
    return page.file(stream)


def _show(
    page: ConsolePage,
    query: str,
    saved: list[dict[str, Any]] | ConsoleApiProblem,
    *,
    limit: str = _LIMITS[0],
    found: dict[str, Any] | None = None,
    problem: ConsoleApiProblem | None = None,
) -> Response:
    return away_of(
        problem,
        page.show(
            "audit-sql.html",
            status=200 if problem is None else problem.status,
            query=query,
            limit=limit,
            limits=[(each, each) for each in _LIMITS],
            examples=EXAMPLES,
            saved=saved,
            problem=problem,
            fault=None if problem is None else _fault_place(query, problem.problem.get("position")),
            result=None if found is None else _result(found),
        ),
    )


async def _saved(page: ConsolePage) -> list[dict[str, Any]] | ConsoleApiProblem:
    """The saved queries; the problem where they cannot be read now."""
    found = await tried(page.api.get("/audit/searches"))
    if isinstance(found, ConsoleApiProblem):
        return found
    return [
        {**each, "href": f"/audit/sql?search={quote(each['id'], safe='')}"}
        for each in found["items"]
        if each["query"] is not None
    ]


def _result(found: dict[str, Any]) -> dict[str, Any]:
    """`rows`: as texts, as many as are shown. `left_out`: how many the answer has beyond them."""
    rows: list[list[tuple[str, bool]]] = []
    size = 0
    for row in found["rows"]:
        cells = [_cell(value) for value in row]
        size += sum(len(text) for text, _ in cells)
        if size > _SHOWN and rows:
            break
        rows.append(cells)
    return {**found, "rows": rows, "left_out": len(found["rows"]) - len(rows)}


def _cell(value: object) -> tuple[str, bool]:
    """The text, and whether it is a number. Nothing for null."""
    if value is None:
        return "", False
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (text if len(text) <= _CELL + 1 else text[:_CELL] + "…"), number


def _fault_place(query: str, position: object) -> dict[str, Any] | None:
    """Where the query is wrong: line and column from 1, and the text around."""
    if not isinstance(position, int) or not 0 < position <= len(query) + 1:
        return None
    number, start, line = line_at(query, position)
    column = position - start
    return {
        "line": number,
        "column": column,
        "before": line[max(0, column - 1 - _AROUND) : column - 1],
        "at": line[column - 1 : column],
        "after": line[column : column + _AROUND],
    }
