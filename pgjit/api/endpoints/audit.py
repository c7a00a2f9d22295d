"""`audit`: executions, windows and sessions of the journal, the report, and SQL over it, for auditors.

Decides what a call may narrow. Every call is in the journal before it is answered, with what it asked for.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from pgjit.api.audit_answers import AuditAnswers
from pgjit.api.audit_filter import CsvQuery, ExecutionPageQuery
from pgjit.api.bodies import SqlBody
from pgjit.api.caller import CallerRole
from pgjit.api.calls import ApiCall
from pgjit.api.cursor import Position, read_cursor, write_cursor
from pgjit.api.endpoints.requests import RequestId
from pgjit.api.refusals import InvalidCall
from pgjit.api.services import ApiServices, TheCall, TheServices

__all__ = ["router"]

router = APIRouter(tags=["audit"])
Text = Annotated[str | None, Query(min_length=1, max_length=512)]
ReportName = Literal["activity", "hours", "access", "denials", "unused", "kills", "rows", "late", "population"]
Document = dict[str, Any]


class AuditPageJson(BaseModel):
    """Executions, each with its outcome. `complete`: whether nothing of the journal is missing or damaged; `notices`
    say what is."""

    items: list[Document]
    next: str | None
    complete: bool
    notices: list[str]


@router.get("/audit/executions")
async def executions(
    call: TheCall, services: TheServices, query: Annotated[ExecutionPageQuery, Query()]
) -> AuditPageJson:
    """Executions, the newest first. `identity`: object id, `tid/oid` or display name; `since`: a moment, or `2h`."""
    chosen, place = query.chosen, read_cursor(query.cursor)
    before = None if place is None else [place.at.isoformat(), _number(place.id)]
    answers = await _permitted(call, services, chosen)
    question = {"ask": "executions", "filter": {**chosen, "before": before}, "limit": query.limit}
    found = await answers.answer({**question, "characters": query.characters})
    items, following = found["items"], None
    if found["more"]:
        following = write_cursor(Position(datetime.fromisoformat(items[-1]["time"]), str(items[-1]["seq"])))
    return AuditPageJson(items=items, next=following, complete=found["complete"], notices=found["notices"])


@router.get("/audit/executions.csv", response_class=Response)
async def executions_csv(call: TheCall, services: TheServices, query: Annotated[CsvQuery, Query()]) -> Response:
    """The same as CSV, as `pgjit audit list --csv`. `x-pgjit-more`: whether there are more than `limit`."""
    answers = await _permitted(call, services, query.chosen)
    found = await answers.answer({"ask": "executions-csv", "filter": query.chosen, "limit": query.limit})
    return _csv("executions", found, query.limit)


@router.get("/audit/executions/{session_id}/{number}")
async def execution(session_id: RequestId, number: int, call: TheCall, services: TheServices) -> Document:
    """One execution with its records, outcome, session and window."""
    answers = await _permitted(call, services)
    return await answers.answer({"ask": "execution", "name": f"{session_id}/{number}"})


@router.get("/audit/windows/{window_id}")
async def window_story(window_id: RequestId, call: TheCall, services: TheServices, catalog: bool = False) -> Document:
    """The story of a window: its request, verdicts, sessions, up to 500 executions, and its end.

    `catalog`: the executions include what drivers ask the catalogs by themselves.
    """
    answers = await _permitted(call, services)
    return await answers.answer({"ask": "window", "name": window_id, "catalog": catalog})


@router.get("/audit/sessions/{session_id}")
async def session_records(session_id: RequestId, call: TheCall, services: TheServices) -> Document:
    """A session with its first 2000 records, in order."""
    answers = await _permitted(call, services)
    return await answers.answer({"ask": "session", "name": session_id})


@router.get("/audit/report")
async def report(
    call: TheCall, services: TheServices, part: ReportName | None = None, since: Text = None, until: Text = None
) -> Document:
    """The report on a period, or one part of it; at most 1000 rows for each part."""
    period = {name: value for name, value in (("since", since), ("until", until)) if value is not None}
    answers = await _permitted(call, services, {"part": part, **period})
    return await answers.answer({"ask": "report", "name": part, "filter": period})


class SqlRowsJson(BaseModel):
    """`more`: whether there are more rows than `limit`. `complete`: whether nothing of the journal is missing."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool
    complete: bool
    notices: list[str]


@router.post("/audit/sql")
async def sql(body: SqlBody, call: TheCall, services: TheServices) -> SqlRowsJson:
    """One SELECT over the views executions, windows, sessions, requests, logins and records, as `pgjit audit sql`."""
    answers = await _permitted(call, services, query=body.query)
    question = {"ask": "sql", "query": body.query, "limit": body.limit, "characters": body.characters}
    found = await answers.answer(question)
    return SqlRowsJson(**{name: found[name] for name in ("columns", "rows", "more", "complete", "notices")})


@router.post("/audit/sql.csv", response_class=Response)
async def sql_csv(body: SqlBody, call: TheCall, services: TheServices) -> Response:
    """The same as CSV, as `pgjit audit sql --csv`; `characters` does not count."""
    answers = await _permitted(call, services, query=body.query)
    found = await answers.answer({"ask": "sql-csv", "query": body.query, "limit": body.limit})
    return _csv("query", found, body.limit)


async def _permitted(
    call: ApiCall, services: ApiServices, chosen: Document | None = None, *, query: str | None = None
) -> _OneByOne:
    """Require the role and record the call. `chosen`: what it asks for, where the path does not show it; or `query`,
    of which nothing is left out."""
    role = call.require(CallerRole.AUDITOR, CallerRole.ADMIN)
    answers = _OneByOne(services.answers, call)
    if query is not None:
        await call.record(role, query, whole=True)
    else:
        await call.record(role, None if chosen is None else json.dumps(chosen, ensure_ascii=True))
    return answers


class _OneByOne:
    """The answers to one caller."""

    def __init__(self, answers: AuditAnswers, call: ApiCall) -> None:
        self._answers = answers
        self._call = call

    async def answer(self, question: Document) -> Document:
        async with self._call.turn():
            return await self._answers.answer(question)


def _csv(name: str, found: Document, limit: int) -> Response:
    """The file. Its name shows whether it lacks rows, because it is kept without these headers."""
    name = f"{name}-first-{limit}" if found["more"] else name
    headers = {
        "content-disposition": f'attachment; filename="{name}.csv"',
        "x-pgjit-more": str(found["more"]).lower(),
        "x-pgjit-complete": str(found["complete"]).lower(),
    }
    return Response(found["file"], media_type="text/csv; charset=utf-8", headers=headers)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidCall("`cursor` must be the `next` of an earlier page.", reference="invalid-cursor", status=400)
    return int(text)
