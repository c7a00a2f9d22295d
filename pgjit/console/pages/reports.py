"""Reports: the audit report on a period, each part with its plot and with the figures as a table behind it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Response
from markupsafe import Markup

from pgjit.audit.reading.csv_text import csv_text
from pgjit.audit.reading.report_plots import bars_of, plot_summary, report_plot
from pgjit.console.address_query import QueryField, read_address_query
from pgjit.console.audit_away import away_of, shown_problem
from pgjit.console.page import ThePage
from pgjit.console.refusals import ConsoleApiProblem, NoSuchPage

__all__ = ["router"]

router = APIRouter()
_WEEK: Final = "7d"
_PARTS: Final = ("activity", "hours", "access", "denials", "unused", "kills", "rows", "late", "population")
_FIELDS: Final = {
    "since": QueryField(label="Since", hint="2026-11-28, yesterday, 7d (ago). By default the last seven days."),
    "until": QueryField(label="Until", hint="The same; in UTC. By default now."),
}
_CELL: Final = 300
_MOST_ROWS: Final = 200
_LINKS: Final = {"window": "/windows/{}", "execution": "/audit/executions/{}", "session": "/sessions/{}/replay"}
_MOMENTS: Final = ("_at", "hour", "last", "since", "until", "time")


@router.get("/reports")
async def reports(page: ThePage) -> Response:
    """All parts, of the last week unless the address has another period."""
    query = read_address_query(page.request.url.query, _FIELDS)
    if not query.clean:
        return page.to(f"/reports?{query.text}" if query.given else "/reports")
    period = {"since": _WEEK, **query.given}
    found: dict[str, Any] | None = None
    problem: ConsoleApiProblem | None = None
    try:
        found = await page.api.get("/audit/report", period)
    except ConsoleApiProblem as refused:
        problem = shown_problem(refused)
    parts = [] if found is None else [_part(name, part) for name, part in found["parts"].items()]
    return away_of(
        problem,
        page.show(
            "reports.html",
            status=200 if problem is None else problem.status,
            fields=_FIELDS,
            given=query.given,
            query=query.text,
            found=found,
            parts=parts,
            problem=problem,
        ),
    )


@router.get("/reports/{part}.csv")
async def part_csv(part: str, page: ThePage) -> Response:
    """The figures of one part as a file."""
    if part not in _PARTS:
        raise NoSuchPage
    given = read_address_query(page.request.url.query, _FIELDS).given
    found = (await page.api.get("/audit/report", {"since": _WEEK, **given, "part": part}))["parts"][part]
    rows = [[item.get(column) for column in found["columns"]] for item in found["items"]]
    headers = {"content-disposition": f'attachment; filename="report-{part}.csv"'}
    return Response(csv_text(found["columns"], rows), media_type="text/csv; charset=utf-8", headers=headers)


def _part(name: str, part: dict[str, Any]) -> dict[str, Any]:
    items = part["items"]
    bars = bars_of(name, items)
    rows = [[_cell(column, item.get(column)) for column in part["columns"]] for item in items[:_MOST_ROWS]]
    return {
        "name": name,
        "title": part["title"],
        "note": part["note"],
        "columns": part["columns"],
        "rows": rows,
        "left_out": len(items) - len(rows),
        "more": part["more"],
        "summary": plot_summary(name, items, more=part["more"]),
        # It escapes every text that it draws.
        "plot": Markup(report_plot(name, part["title"], bars)) if bars else None,  # noqa: S704
    }


def _cell(column: str, value: object) -> dict[str, Any]:
    """`kind`: `number`, `moment`, `link` (with `href`) or `text`."""
    if isinstance(value, bool) or value is None:
        return {"kind": "text", "value": {True: "yes", False: "no", None: ""}[value]}
    if isinstance(value, int | float):
        return {"kind": "number", "value": f"{value:,}"}
    text = str(value) if not isinstance(value, list) else ", ".join(map(str, value))
    if column in _LINKS and text:
        return {"kind": "link", "value": text, "href": _LINKS[column].format(quote(text))}
    if column.endswith(_MOMENTS) and _is_moment(text):
        return {"kind": "moment", "value": text}
    return {"kind": "text", "value": text if len(text) <= _CELL else text[:_CELL] + "…"}


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
