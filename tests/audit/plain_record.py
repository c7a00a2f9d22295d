"""The records of executions and outcomes, made plainly: a dict of all members, rendered at once.

The journal's own renderer puts text together that was rendered before. This one holds it to what it should be.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pgjit.audit.event import Execution, Outcome
from pgjit.audit.parameter_record import parameter_members
from pgjit.audit.record_json import as_json

__all__ = ["plain_record"]


def plain_record(event: Execution | Outcome, seq: int) -> bytes:
    """The record of an event of a session whose policy leaves nothing out."""
    members = _execution(event) if isinstance(event, Execution) else _outcome(event)
    context = event.context
    who = {"identity": f"{context.identity.key.tid}/{context.identity.key.oid}", "policy": context.policy}
    line = {
        "v": 1, "seq": seq, "time": _time(event.at), "type": type(event).__name__.lower(),
        **(who if isinstance(event, Execution) else {}),
        "window": context.window.id, "execution": f"{context.session_id}/{event.number}",
        **{name: value for name, value in members.items() if value is not None},
    }  # fmt: skip
    return as_json(line) + b"\n"


def _time(nanoseconds: int) -> str:
    seconds, below = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{below // 1000:06}Z"


def _execution(event: Execution) -> dict[str, object]:
    summary = event.summary
    touched: dict[str, object] = {}
    if summary is not None:
        touched = {
            "normalised": summary.normalised or None, "fingerprint": summary.fingerprint or None,
            "reads": summary.reads or None, "writes": summary.writes or None, "calls": summary.calls or None,
            "about": "catalog" if summary.of_catalog else None,
        }  # fmt: skip
    return {
        "protocol": None if event.protocol == "simple" else event.protocol, "decision": event.decision,
        "kind": event.kind, "statement": event.statement, **touched, "prepared_as": event.prepared_as,
        "through": event.through or None, "unresolved": event.unresolved,
        "parameters": None if event.parameters is None else parameter_members(event.parameters),
    }  # fmt: skip


def _outcome(event: Outcome) -> dict[str, object]:
    return {
        "ended": event.ended, "command": event.command, "rows": event.rows, "bytes": event.bytes or None,
        "received": event.received or None, "sqlstate": event.sqlstate, "message": event.message,
        "first_row_us": event.first_row_us, "duration_us": event.duration_us,
    }  # fmt: skip
