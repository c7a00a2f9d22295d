from __future__ import annotations

from datetime import UTC, datetime

from pgjit.policy.schedule import Schedule, parse_entry


def test_a_schedule_is_open_from_the_start_of_an_entry_to_its_end() -> None:
    schedule = Schedule((parse_entry("Tue 06:00-09:00 Europe/Berlin"),))

    assert datetime(2026, 12, 1, 8, tzinfo=UTC) == schedule.open_until(datetime(2026, 12, 1, 5, tzinfo=UTC))
    assert schedule.open_until(datetime(2026, 12, 1, 8, tzinfo=UTC)) is None
    assert datetime(2026, 12, 8, 5, tzinfo=UTC) == schedule.next_opening(datetime(2026, 12, 1, 8, tzinfo=UTC))
