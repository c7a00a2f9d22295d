"""The proxy's metrics, by OpenTelemetry, served at /metrics. They are for operating it; the audit is the journal.

Decides the names of the instruments. An error in a metric must never fail a session.
"""

from __future__ import annotations

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

__all__ = ["Telemetry"]


class Telemetry:
    def __init__(self, *, version: str, export: bool = False) -> None:
        """`export` registers the instruments for /metrics, which a process may do once."""
        readers = [PrometheusMetricReader()] if export else []
        resource = Resource.create({"service.name": "pgjit", "service.version": version})
        self._provider = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("pgjit", version)
        self._sessions = meter.create_up_down_counter("pgjit.sessions.live", description="sessions open now")
        self._logins = meter.create_counter("pgjit.logins", description="logins by outcome")
        self._executions = meter.create_counter("pgjit.executions", description="executions by decision")
        self._ends = meter.create_histogram(
            "pgjit.session.end.duration",
            unit="ms",
            description="from the end of a window until the backend is gone",
        )
        self._break_glass = meter.create_counter(
            "pgjit.windows.break_glass", description="windows opened without a review, by a break-glass policy"
        )
        self._remaining = meter.create_up_down_counter(
            "pgjit.backends.remaining",
            description="backends that should be gone but are not known to be: alert above 0",
        )

    def break_glass(self) -> None:
        self._break_glass.add(1)

    def remaining(self, change: int) -> None:
        self._remaining.add(change)

    def session(self, change: int) -> None:
        self._sessions.add(change)

    def login(self, outcome: str) -> None:
        self._logins.add(1, {"outcome": outcome})

    def executions(self, allowed: int, denied: int) -> None:
        if allowed:
            self._executions.add(allowed, {"decision": "allow"})
        if denied:
            self._executions.add(denied, {"decision": "deny"})

    def ended(self, took_ms: int, *, gone: bool) -> None:
        self._ends.record(took_ms, {"gone": gone})

    def close(self) -> None:
        self._provider.shutdown()
