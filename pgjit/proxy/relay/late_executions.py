"""Executions that have no record until the server reports their error, which may hold data all the same.

Decides what is recorded of them. Planning runs functions, and so does the end of a transaction: deferred constraints
and triggers.
"""

from __future__ import annotations

from collections.abc import Mapping

from pgjit.audit.event import Event
from pgjit.proxy.relay.named_values import ExecutedStatement, Portal, Prepared
from pgjit.proxy.relay.relay_state import RelayState

__all__ = ["commit_failed", "rejected_before_execution"]

_COMMIT = ExecutedStatement("-- commit at Sync", "transaction", None)


def rejected_before_execution(
    state: RelayState, brought: Prepared | Portal, now: int, fields: Mapping[str, str]
) -> list[Event]:
    """The server rejected a Parse or a Bind: its execution failed, whether or not an Execute was sent already."""
    prepared, parameters = (brought.prepared, brought.parameters) if isinstance(brought, Portal) else (brought, None)
    for request in state.queue.before_sync():
        if (run := request.current) is not None and run.prepared is prepared:
            request.at += 1
            return [state.recorder.outcome(run, now, "failed", fields)]
    kind = prepared.statement.kind if prepared.statement else None
    return _failed(state, ExecutedStatement(prepared.text, kind, prepared.statement, parameters), now, fields)


def commit_failed(state: RelayState, now: int, fields: Mapping[str, str]) -> list[Event]:
    """The server could not commit at a Sync: statements that completed before it are undone."""
    return _failed(state, _COMMIT, now, fields)


def _failed(state: RelayState, executed: ExecutedStatement, now: int, fields: Mapping[str, str]) -> list[Event]:
    events: list[Event] = []
    run = state.recorder.execution(events, now, "extended", executed)
    return [*events, state.recorder.outcome(run, now, "failed", fields)]
