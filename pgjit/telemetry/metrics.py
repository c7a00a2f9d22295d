"""Every metric of pgjit: its name, its unit, its labels, and what it means. docs/metrics.md is written from here.

Decides the names. They follow OpenTelemetry's conventions; the names in Prometheus follow from them. A metric exists
from the start: series whose labels are known show 0 until something happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pgjit.telemetry.metric_family import HistogramFamily, MetricText, NumberFamily

__all__ = ["DECISIONS", "ENDINGS", "OUTCOMES", "Metrics"]

DECISIONS = ("allow", "deny")
ENDINGS = ("completed", "suspended", "failed", "limited", "refused", "skipped", "cut")
OUTCOMES = (
    "opened", "bad-signature", "cooling-down", "expired", "handshake-failed", "journal-unavailable", "no-policy",
    "outside-schedule", "protocol-violation", "review-needed", "server-unavailable", "signing-keys-unavailable",
    "token-refused", "unknown-key", "wrong-audience", "wrong-issuer",
)  # fmt: skip
"""Outcomes of a login that are shown from the start. Others, each an error's reference, appear with the first."""

_MILLI, _SECOND = 1_000, 1_000_000
_SHORT = (25, 50, 100, 250, 500, _MILLI, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, _SECOND)
_LONG = (
    100, 250, 500, _MILLI, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    _SECOND, 2_500_000, 5 * _SECOND, 10 * _SECOND, 30 * _SECOND, 60 * _SECOND, 300 * _SECOND,
)  # fmt: skip


class Metrics:
    """The families by name. An attribute for each, so that a wrong name is found by mypy."""

    def __init__(self) -> None:
        self.families: list[NumberFamily | HistogramFamily] = []
        self._add_sessions()
        self._add_executions()
        self._add_journal()
        self._add_checkpoints()
        self._add_others()

    def _add_sessions(self) -> None:
        self.sessions = self._gauge("sessions", "{session}", "sessions that are open now", "policy")
        self.sessions_ended = self._counter("sessions.ended", "{session}", "sessions that ended, by reason", "reason")
        self.logins = self._counter(
            "logins", "{login}", "logins by outcome: `opened`, or the reference of the refusal", "outcome"
        )
        self.cancels = self._counter(
            "cancels",
            "{request}",
            "cancel requests of clients, by where the session was found: `here`, on another `worker` or `node`, or "
            "`unknown`; `limited`: dropped, for it would have waited for its rate for more than two seconds",
            "found",
        )
        self.windows = self._gauge("windows", "{window}", "windows that are open on this node now", "policy")
        self.windows_opened = self._counter("windows.opened", "{window}", "windows that were opened", "policy")
        self.windows_ended = self._counter("windows.ended", "{window}", "windows that ended, by reason", "reason")
        self.break_glass = self._counter(
            "windows.break_glass", "{window}", "windows that were opened without a review, by a break-glass policy"
        )
        self.end_duration = self._histogram(
            "session.end.duration", _LONG, "from the end of a session until its backend was seen to be gone", "gone"
        )
        self.backends_remaining = self._gauge(
            "backends.remaining", "{backend}", "backends that should be gone but are not known to be: alert above 0"
        )

    def _add_executions(self) -> None:
        self.executions = self._counter(
            "executions", "{execution}", "executions by policy and decision", "policy", "decision"
        )
        self.executions_ended = self._counter(
            "executions.ended", "{execution}", "executions that ended, as in the journal", "policy", "ended"
        )
        self.execution_duration = self._histogram(
            "execution.duration", _LONG, "from an execution's record until the server's last answer to it", "policy"
        )
        self.overhead = self._histogram(
            "proxy.overhead",
            _SHORT,
            "from taking a client's messages up until they are sent on: judging, recording, waiting for the disk",
        )
        self.decision_duration = self._histogram(
            "decision.duration",
            _SHORT,
            "judging one text: on the event loop, or in a worker with the wait for it",
            "place",
        )
        self.rows = self._counter("rows", "{row}", "rows that executions returned or changed", "policy")
        self.sent = self._counter("sent", "By", "bytes of results that clients received", "policy")
        self.received = self._counter("received", "By", "bytes of COPY data that clients sent", "policy")

    def _add_journal(self) -> None:
        self.journal_records = self._counter("journal.records", "{record}", "records that the journal accepted")
        self.journal_written = self._counter("journal.written", "By", "bytes that the journal accepted")
        self.journal_failures = self._counter(
            "journal.failures", "{failure}", "writes that failed; each refused the statements of its batch"
        )
        self.journal_writable = self._gauge("journal.writable", "1", "1 while the journal accepts records, else 0")
        self.journal_unsynced = self._gauge(
            "journal.unsynced_records", "{record}", "records that a crash of the machine could lose"
        )
        self.journal_lag = self._gauge("journal.lag", "s", "age of the oldest record that is not on the disk yet")
        self.journal_size = self._gauge("journal.size", "By", "size of the journal on the disk")
        self.journal_free = self._gauge("journal.free", "By", "free space on the journal's disk")
        self.journal_space_low = self._gauge(
            "journal.space_low", "1", "1 while there is less than configured, else 0"
        )
        self.journal_unarchived = self._gauge(
            "journal.unarchived_segments", "{segment}", "closed segments that have no copy in the archive yet"
        )
        self.journal_archive_failures = self._counter(
            "journal.archive.failures", "{failure}", "copies to the archive that failed; each is tried again"
        )

        self.journal_held = self._gauge(
            "journal.held_segments", "{segment}", "old segments that wait for the collector before they are removed"
        )

    def _add_checkpoints(self) -> None:
        self.checkpoint_age = self._gauge(
            "journal.checkpoint.age", "s", "since the newest checkpoint, or since the start before the first"
        )
        self.checkpoint_unsigned = self._gauge(
            "journal.checkpoint.unsigned_records", "{record}", "records that no checkpoint covers yet"
        )
        self.checkpoint_failures = self._counter(
            "journal.checkpoint.failures", "{failure}", "checkpoints that could not be made; each is tried again"
        )
        self.checkpoint_send_failures = self._counter(
            "journal.checkpoint.send.failures", "{failure}", "checkpoints that a receiver did not take", "receiver"
        )
        self.checkpoint_witness_failures = self._counter(
            "journal.checkpoint.witness.failures", "{failure}", "checkpoints that a witness did not sign", "witness"
        )

    def _add_others(self) -> None:
        self.keys_age = self._gauge(
            "signing_keys.age", "s", "since signing keys were fetched; 0 before that", "issuer"
        )
        self.catalog_age = self._gauge(
            "catalog.age", "s", "since the catalog was last checked; 0 before a session needed it", "connection"
        )
        self.memberships_age = self._gauge(
            "memberships.age", "s", "age of the oldest membership that a live session relies on"
        )
        self.notifications_waiting = self._gauge(
            "notifications.waiting",
            "{notification}",
            "notifications in the store that are neither sent nor given up, of all nodes",
            "channel",
        )
        self.notifications_age = self._gauge(
            "notifications.age", "s", "age of the oldest notification that waits; 0 if none does", "channel"
        )
        self.dependency_failures = self._counter(
            "dependency.failures", "{failure}", "failed uses of a server, directory or other source", "kind", "name"
        )
        self.dependency_up = self._gauge(
            "dependency.up", "1", "1 if its last use succeeded or there was none, else 0", "kind", "name"
        )
        self.otlp_records = self._counter("otlp.records", "{record}", "records that the collector accepted as logs")
        self.otlp_refused = self._counter("otlp.refused", "{record}", "records that the collector refused for good")
        self.otlp_lost = self._counter("otlp.lost", "{record}", "records that were deleted before they were sent")
        self.otlp_unsent = self._gauge("otlp.unsent_records", "{record}", "records that wait for the collector")
        self.otlp_spans = self._counter("otlp.spans", "{span}", "spans that the collector accepted")
        self.otlp_spans_dropped = self._counter("otlp.spans.dropped", "{span}", "spans that it did not accept")
        self.reloads = self._counter(
            "config.reloads",
            "{reload}",
            "reloads of the configuration: `success`, or `failure`, which changed nothing",
            "result",
        )
        self.reloaded_at = self._gauge(
            "config.last_reload.time", "s", "when the configuration in force was read, in seconds since 1970"
        )
        self.config_info = self._gauge(
            "config.info",
            "1",
            "always 1; the labels begin as the SHA-256 of the configuration file, and of all its policies together",
            "config",
            "policies",
        )
        self.certificate_expiry = self._gauge(
            "certificate.expiry.time",
            "s",
            "when the first certificate of a chain in force expires, in seconds since 1970; by the key of its file",
            "certificate",
        )
        self.log_dropped = self._counter(
            "log.dropped", "{line}", "lines of the program's own log that were dropped, as its output was not read"
        )
        self.ready = self._gauge("ready", "1", "1 while `/readyz` reports that this node is ready, else 0")
        self.workers = self._gauge(
            "workers", "{worker}", "with several workers: slots by the state of their worker, and workers that drain",
            "state",
        )  # fmt: skip
        self.worker_restarts = self._counter(
            "workers.restarts", "{restart}", "with several workers: those that were started because one had ended"
        )
        self.build = self._gauge("build_info", "1", "always 1", "version")

    def declare(self, policies: Iterable[str], version: str) -> None:
        """Show the series whose labels are known, with 0."""
        self.build.of(version).value = 1
        for outcome in OUTCOMES:
            self.logins.of(outcome)
        for found in ("here", "worker", "node", "unknown", "limited"):
            self.cancels.of(found)
        for gone in ("true", "false"):
            self.end_duration.of(gone)
        for result in ("success", "failure"):
            self.reloads.of(result)
        for place in ("event-loop", "worker"):
            self.decision_duration.of(place)
        self.declare_policies(policies)

    def declare_policies(self, policies: Iterable[str]) -> None:
        for policy in policies:
            for family in (self.sessions, self.windows, self.windows_opened, self.rows, self.sent, self.received):
                family.of(policy)
            self.execution_duration.of(policy)
            for decision in DECISIONS:
                self.executions.of(policy, decision)
            for ended in ENDINGS:
                self.executions_ended.of(policy, ended)

    def __iter__(self) -> Iterator[NumberFamily | HistogramFamily]:
        return iter(self.families)

    # --- families --------------------------------------------------------------------------------------

    def _counter(self, name: str, unit: str, description: str, *labels: str) -> NumberFamily:
        return self._number(name, "counter", unit, description, labels)

    def _gauge(self, name: str, unit: str, description: str, *labels: str) -> NumberFamily:
        return self._number(name, "gauge", unit, description, labels)

    def _number(
        self, name: str, kind: Literal["counter", "gauge"], unit: str, description: str, labels: tuple[str, ...]
    ) -> NumberFamily:
        text = MetricText(name=f"pgjit.{name}", kind=kind, unit=unit, description=description, labels=labels)
        family = NumberFamily(text)
        self.families.append(family)
        return family

    def _histogram(self, name: str, bounds: tuple[int, ...], description: str, *labels: str) -> HistogramFamily:
        text = MetricText(name=f"pgjit.{name}", kind="histogram", unit="s", description=description, labels=labels)
        family = HistogramFamily(text, bounds)
        self.families.append(family)
        return family
