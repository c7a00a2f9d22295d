"""`audit`: executions, windows and sessions of the journal, the report, and SQL over it, for auditors.

Decides what a call may narrow. Every call is in the journal before it is answered, with what it asked for.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from pgjit.api.audit_answers import AuditAnswers
from pgjit.api.bodies import Name, SqlBody
from pgjit.api.caller import CallerRole
from pgjit.api.calls import ApiCall
from pgjit.api.cursor import LIMIT, MOST, Position, read_cursor, write_cursor
from pgjit.api.endpoints.requests import RequestId
from pgjit.api.refusals import CallRefused, InvalidCall
from pgjit.api.services import ApiServices, TheCall, TheServices

__all__ = ["router"]

router = APIRouter(tags=["audit"])
Text = Annotated[str | None, Query(min_length=1, max_length=512)]
ReportName = Literal["activity", "access", "denials", "unused", "kills", "rows", "late", "population"]
Document = dict[str, Any]


class AuditPageJson(BaseModel):
    """Executions, each with its outcome. `complete`: whether nothing of the journal is missing or damaged."""

    items: list[Document]
    next: str | None
    complete: bool


@router.get("/audit/executions")
async def executions(
    call: TheCall,
    services: TheServices,
    identity: Text = None,
    group: Text = None,
    policy: Annotated[Name | None, Query()] = None,
    connection: Annotated[Name | None, Query()] = None,
    window: Text = None,
    session: Text = None,
    object: Text = None,  # noqa: A002 - the parameter's name, as of the command line
    decision: Literal["allow", "deny"] | None = None,
    rule: Text = None,
    sqlstate: Text = None,
    since: Text = None,
    until: Text = None,
    text: Text = None,
    after_end: bool = False,
    catalog: bool = False,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = LIMIT,
) -> AuditPageJson:
    """Executions, the newest first. `identity`: object id, `tid/oid` or display name; `since`: a moment, or `2h`."""
    narrowed = {
        "identity": identity, "group": group, "policy": policy, "connection": connection, "window": window,
        "session": session, "touches": object, "decision": decision, "rule": rule, "sqlstate": sqlstate,
        "since": since, "until": until, "text": text,
    }  # fmt: skip
    chosen: Document = {name: value for name, value in narrowed.items() if value is not None}
    chosen |= {"after_end": after_end, "catalog": catalog}
    place = read_cursor(cursor)
    answers = await _permitted(call, services, chosen)
    before = None if place is None else [place.at.isoformat(), _number(place.id)]
    question = {"ask": "executions", "filter": {**chosen, "before": before}, "limit": limit}
    found = await answers.answer(question)
    items, following = found["items"], None
    if found["more"]:
        following = write_cursor(Position(datetime.fromisoformat(items[-1]["time"]), str(items[-1]["seq"])))
    return AuditPageJson(items=items, next=following, complete=found["complete"])


@router.get("/audit/executions/{session_id}/{number}")
async def execution(session_id: RequestId, number: int, call: TheCall, services: TheServices) -> Document:
    """One execution with its records, outcome, session and window."""
    answers = await _permitted(call, services)
    return await answers.answer({"ask": "execution", "name": f"{session_id}/{number}"})


@router.get("/audit/windows/{window_id}")
async def window_story(window_id: RequestId, call: TheCall, services: TheServices) -> Document:
    """The story of a window: its request, verdicts, sessions, up to 500 executions, and its end."""
    answers = await _permitted(call, services)
    return await answers.answer({"ask": "window", "name": window_id})


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


@router.post("/audit/sql")
async def sql(body: SqlBody, call: TheCall, services: TheServices) -> SqlRowsJson:
    """One SELECT over the views executions, windows, sessions, requests, logins and records, as `pgjit audit sql`."""
    role = call.require(CallerRole.AUDITOR, CallerRole.ADMIN)
    answers = _answers(services)
    await call.record(role, body.query, whole=True)
    found = await answers.answer({"ask": "sql", "query": body.query, "limit": body.limit})
    return SqlRowsJson(**{name: found[name] for name in ("columns", "rows", "more", "complete")})


async def _permitted(call: ApiCall, services: ApiServices, chosen: Document | None = None) -> AuditAnswers:
    """Require the role and record the call. `chosen`: what it asks for, where the path does not show it."""
    role = call.require(CallerRole.AUDITOR, CallerRole.ADMIN)
    answers = _answers(services)
    await call.record(role, None if chosen is None else json.dumps(chosen, ensure_ascii=True))
    return answers


def _answers(services: ApiServices) -> AuditAnswers:
    if services.audit is None:
        raise CallRefused("this node cannot read its journal", reference="audit-unavailable", status=503)
    return services.audit


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidCall("`cursor` must be the `next` of an earlier page.", reference="invalid-cursor", status=400)
    return int(text)
