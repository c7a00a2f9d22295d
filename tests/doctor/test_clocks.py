"""When a difference between two clocks is a warning, and when a danger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pgjit.doctor.clocks import ClockReading, clock_findings
from tests.run.rows import table

NOW = datetime(2026, 11, 29, 10, tzinfo=UTC)


@table(
    ("theirs", "of_store", "severity", "text"),
    [
        (0.1, True, "note", "agrees"),
        (-0.5, True, "note", "agrees"),
        (-2.0, True, "warning", "2.0 s ahead of"),
        (-6.0, True, "danger", "6.0 s ahead of"),
        (-6.0, False, "warning", "6.0 s ahead of"),
        (9.2, True, "warning", "9.0 s behind"),
    ],
    ids=str,
)
def test_a_clock_ahead_of_the_stores_opens_nothing(theirs: float, of_store: bool, severity: str, text: str) -> None:
    reading = ClockReading(NOW, NOW + timedelta(seconds=0.2), NOW + timedelta(seconds=theirs))
    [finding] = clock_findings("the store", reading, of_store=of_store)
    assert (finding.severity, text in finding.message) == (severity, True)


def test_what_the_answer_took_is_no_difference() -> None:
    reading = ClockReading(NOW, NOW + timedelta(seconds=10), NOW + timedelta(seconds=9))
    assert reading.ahead == timedelta()
