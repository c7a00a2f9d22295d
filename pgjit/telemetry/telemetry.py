"""What the rooms count: one method or series for each thing that happens.

Decides which series an event adds to. An error in a metric must never fail a session, so nothing here can fail.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.telemetry.metrics import DECISIONS, ENDINGS, Metrics
from pgjit.telemetry.prometheus import PrometheusPage

__all__ = ["PolicyCounts", "Telemetry"]


class PolicyCounts:
    """The series of one policy. A session gets them once and then only adds."""

    __slots__ = ("allowed", "denied", "duration", "ended", "received", "rows", "sent")

    def __init__(self, metrics: Metrics, policy: str) -> None:
        self.allowed, self.denied = (metrics.executions.of(policy, decision) for decision in DECISIONS)
        self.ended = {ended: metrics.executions_ended.of(policy, ended) for ended in ENDINGS}
        self.duration = metrics.execution_duration.of(policy)
        self.rows = metrics.rows.of(policy)
        self.sent = metrics.sent.of(policy)
        self.received = metrics.received.of(policy)


class Telemetry:
    def __init__(self, *, version: str, policies: Iterable[str] = ()) -> None:
        self.metrics = Metrics()
        self.metrics.declare(policies, version)
        self.page = PrometheusPage(self.metrics)
        self.overhead = self.metrics.overhead.of()
        self.judged_inline = self.metrics.decision_duration.of("event-loop")
        self.judged_in_worker = self.metrics.decision_duration.of("worker")
        self._policies: dict[str, PolicyCounts] = {}

    def of_policy(self, policy: str) -> PolicyCounts:
        counts = self._policies.get(policy)
        if counts is None:
            counts = self._policies[policy] = PolicyCounts(self.metrics, policy)
        return counts

    def break_glass(self) -> None:
        self.metrics.break_glass.of().value += 1

    def remaining(self, change: int) -> None:
        self.metrics.backends_remaining.of().value += change

    def session_opened(self, policy: str) -> None:
        self.metrics.sessions.of(policy).value += 1
        self.login("opened")

    def session_ended(self, policy: str, reason: str) -> None:
        self.metrics.sessions.of(policy).value -= 1
        self.metrics.sessions_ended.of(reason).value += 1

    def login(self, outcome: str) -> None:
        self.metrics.logins.of(outcome).value += 1

    def cancel(self, found: str) -> None:
        self.metrics.cancels.of(found).value += 1

    def window_opened(self, policy: str) -> None:
        self.metrics.windows_opened.of(policy).value += 1

    def window_ended(self, reason: str) -> None:
        self.metrics.windows_ended.of(reason).value += 1

    def backend_stopped(self, took_ms: int, *, gone: bool) -> None:
        self.metrics.end_duration.of("true" if gone else "false").record(took_ms * 1000)
