"""A line of the journal as an OpenTelemetry log record, as the message that OTLP sends. Pure.

Decides the event's name, its severity and its attributes. The body is the line exactly as it was written, so that a
SIEM can check it against the journal's proof. A line that is not a record is sent all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import starmap
from typing import Any

import orjson

from pgjit.audit.telemetry.database_attributes import query_attributes
from pgjit.audit.telemetry.trace_context import agents_span, execution_span_id, session_trace
from pgjit.telemetry.otlp_logs import attribute, log_message, repeated_attribute

__all__ = ["log_record", "nanoseconds", "parsed"]

_INFO, _WARN, _ERROR = (9, "INFO"), (13, "WARN"), (17, "ERROR")
_ERRORS = {"backend.remains", "journal.gap", "journal.torn", "store.restored", "policy.differs", "break_glass.used"}
_WARNINGS = {"login.refused", "window.ending", "window.revoked"}
_COPIED: dict[str, tuple[str, Callable[[str, str | int], bytes]]] = {
    "seq": ("pgjit.seq", attribute), "execution": ("pgjit.execution.id", attribute),
    "rows": ("db.response.returned_rows", attribute), "request": ("pgjit.request.id", attribute),
    "reason": ("pgjit.reason", attribute), "policy": ("pgjit.policy", repeated_attribute),
    "session": ("pgjit.session.id", repeated_attribute), "connection": ("pgjit.connection", repeated_attribute),
    "database": ("db.namespace", repeated_attribute), "decision": ("pgjit.decision", repeated_attribute),
    "ended": ("pgjit.ended", repeated_attribute), "reference": ("pgjit.reference", repeated_attribute),
    "source": ("client.address", repeated_attribute), "sqlstate": ("db.response.status_code", repeated_attribute),
}  # fmt: skip
"""The members that are attributes as they are, where they are texts or numbers: of one record, and of many."""

_PLAIN = (str, int)  # not `str | int`, which is made anew at each use


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


def log_record(line: bytes, record: Mapping[str, Any], uid: str, observed: int) -> bytes:
    """`uid`: the same whenever the line is sent again. `observed`: the time now, in nanoseconds since 1970."""
    kind = record.get("type")
    return log_message(
        line.decode(errors="backslashreplace"),
        [attribute("log.record.uid", uid), *_attributes(record)],
        time=nanoseconds(record.get("time")) or observed,
        observed=observed,
        severity=_severity(record),
        event=f"pgjit.{kind}" if isinstance(kind, str) else "pgjit.unreadable",
        span=_span(record),
    )


def _severity(record: Mapping[str, Any]) -> tuple[int, str]:
    kind = record.get("type")
    if kind in _ERRORS or not kind:
        return _ERROR
    if kind in _WARNINGS or record.get("decision") == "deny" or record.get("ended") in ("refused", "limited"):
        return _WARN
    return _INFO


def _attributes(record: Mapping[str, Any]) -> Iterator[bytes]:
    for member, value in record.items():
        if (copied := _COPIED.get(member)) is not None and isinstance(value, _PLAIN):
            yield copied[1](copied[0], value)
    match record.get("identity"):
        case str(key):
            yield repeated_attribute("user.id", key)
        case {"tid": str(tenant), "oid": str(principal)}:
            yield repeated_attribute("user.id", f"{tenant}/{principal}")
    match record.get("window"):
        case str(window) | {"id": str(window)}:
            yield repeated_attribute("pgjit.window.id", window)
    if record.get("type") == "execution":
        yield from starmap(repeated_attribute, query_attributes(record).items())
    if isinstance(execution := record.get("execution"), str) and "session" not in record:
        yield repeated_attribute("pgjit.session.id", execution.partition("/")[0])


def _span(record: Mapping[str, Any]) -> tuple[bytes, bytes, int] | None:
    """The span of the record's execution or session, so that a log leads to its trace."""
    execution, session = record.get("execution"), record.get("session")
    if isinstance(execution, str):
        span_id = execution_span_id(execution)
        if (agents := agents_span(str(record.get("statement", "")))) is not None:
            return agents.trace_id.to_bytes(16), span_id, agents.trace_flags
        return session_trace(execution.partition("/")[0])[0], span_id, 0
    return (*session_trace(session), 0) if isinstance(session, str) else None
