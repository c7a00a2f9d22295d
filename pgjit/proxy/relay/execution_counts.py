"""Counts a session's executions and outcomes in the metrics.

Decides which numbers an event changes. The series of the policy are looked up once, when the session begins.
"""

from __future__ import annotations

from collections.abc import Sequence

from pgjit.audit.event import Event, Execution, Outcome
from pgjit.policy.kinds import DDL, PROCEDURAL
from pgjit.telemetry import PolicyCounts

__all__ = ["count_executions", "count_outcomes"]

_CHANGES = DDL | PROCEDURAL


def count_executions(counts: PolicyCounts, events: Sequence[Event]) -> bool:
    """Count what is about to run or was refused. Returns whether one of those that run may change the catalog."""
    changes = False
    for event in events:
        if type(event) is Execution:
            if event.decision == "allow":
                counts.allowed.value += 1
                changes = changes or event.kind in _CHANGES
            else:
                counts.denied.value += 1
    return changes


def count_outcomes(counts: PolicyCounts, events: Sequence[Event]) -> None:
    for event in events:
        if type(event) is Outcome:
            counts.ended[event.ended].value += 1
            counts.rows.value += event.rows
            counts.sent.value += event.bytes
            counts.received.value += event.received
            if event.ended not in ("refused", "skipped"):  # the server ran nothing
                counts.duration.record(event.duration_us)
