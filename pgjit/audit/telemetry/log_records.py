"""A line of the journal as an OpenTelemetry log record. Pure.

Decides the event's name, its severity and its attributes. The body is the line exactly as it was written, so that a
SIEM can check it against the journal's proof. A line that is not a record is sent all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context

from pgjit.audit.telemetry.database_attributes import query_attributes
from pgjit.audit.telemetry.trace_context import agents_span, span_id_of, span_of_session

__all__ = ["log_record", "nanoseconds", "parsed"]

_ERRORS = {"backend.remains", "journal.gap", "journal.torn", "store.restored", "policy.differs", "break_glass.used"}
_WARNINGS = {"login.refused", "window.ending", "window.revoked"}
_COPIED = {
    "seq": "pgjit.seq", "policy": "pgjit.policy", "session": "pgjit.session.id", "connection": "db.namespace",
    "execution": "pgjit.execution.id", "decision": "pgjit.decision", "ended": "pgjit.ended", "reason": "pgjit.reason",
    "reference": "pgjit.reference", "source": "client.address", "rows": "db.response.returned_rows",
    "sqlstate": "db.response.status_code", "request": "pgjit.request.id",
}  # fmt: skip
"""The members that are attributes as they are, where they are texts or numbers."""


def parsed(line: bytes) -> dict[str, Any]:
    """The record; an empty one if the line is not a record."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}


def nanoseconds(time: object) -> int | None:
    """A record's time, since 1970."""
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else None
    except ValueError:
        return None
    return None if moment is None else int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def log_record(line: bytes, record: Mapping[str, Any], uid: str, observed: int) -> LogRecord:
    """`uid`: the same whenever the line is sent again. `observed`: the time now, in nanoseconds since 1970."""
    kind = record.get("type")
    severity = _severity(record)
    return LogRecord(
        timestamp=nanoseconds(record.get("time")) or observed,
        observed_timestamp=observed,
        context=_context(record),
        severity_number=severity,
        severity_text=severity.name,
        body=line.decode(errors="backslashreplace"),
        attributes={"log.record.uid": uid, **_attributes(record)},
        event_name=f"pgjit.{kind}" if isinstance(kind, str) else "pgjit.unreadable",
    )


def _severity(record: Mapping[str, Any]) -> SeverityNumber:
    kind = record.get("type")
    if kind in _ERRORS or not kind:
        return SeverityNumber.ERROR
    if kind in _WARNINGS or record.get("decision") == "deny" or record.get("ended") in ("refused", "limited"):
        return SeverityNumber.WARN
    return SeverityNumber.INFO


def _attributes(record: Mapping[str, Any]) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {}
    for member, name in _COPIED.items():
        if isinstance(value := record.get(member), str | int):
            attributes[name] = value
    match record.get("identity"):
        case str(key):
            attributes["user.id"] = key
        case {"tid": str(tenant), "oid": str(principal)}:
            attributes["user.id"] = f"{tenant}/{principal}"
    match record.get("window"):
        case str(window) | {"id": str(window)}:
            attributes["pgjit.window.id"] = window
    if record.get("type") == "execution":
        attributes |= query_attributes(record)
    if isinstance(execution := record.get("execution"), str):
        attributes.setdefault("pgjit.session.id", execution.partition("/")[0])
    return attributes


def _context(record: Mapping[str, Any]) -> Context:
    """The span of the record's execution or session, so that a log leads to its trace."""
    execution, session = record.get("execution"), record.get("session")
    if isinstance(execution, str):
        span = agents_span(str(record.get("statement", ""))) or span_of_session(
            execution.partition("/")[0], sampled=False
        )
        span = trace.SpanContext(span.trace_id, span_id_of(execution), is_remote=False, trace_flags=span.trace_flags)
    elif isinstance(session, str):
        span = span_of_session(session, sampled=False)
    else:
        return Context()
    return trace.set_span_in_context(trace.NonRecordingSpan(span), Context())
