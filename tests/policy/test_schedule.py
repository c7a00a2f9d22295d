"""When a schedule is open, over clocks that are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgjit.policy.schedule import Schedule, ScheduleEntry, parse_entry

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo",
    "Pacific/Apia", "Africa/Casablanca", "Asia/Tehran", "Pacific/Chatham",
)  # fmt: skip
INSTANT = timedelta(microseconds=1)

minutes = st.integers(0, 1439)
entries = st.builds(
    lambda days, start, length, zone: ScheduleEntry(tuple(sorted(days)), start, _end(start, length), zone),
    st.sets(st.integers(0, 6), min_size=1),
    minutes,
    st.integers(1, 1439),
    st.sampled_from(ZONES),
)
moments = st.integers(0, 20 * 366 * 86400).map(
    lambda seconds: datetime(2010, 1, 1, tzinfo=UTC) + timedelta(0, seconds)
)


def _end(start: int, length: int) -> int:
    """After midnight on the next day; 24:00 where it ends with the day."""
    return start + length if start + length <= 1440 else start + length - 1440


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@settings(max_examples=150, deadline=None)
@given(st.lists(entries, min_size=1, max_size=3), moments)
def test_openings_and_ends_agree(found: list[ScheduleEntry], now: datetime) -> None:
    schedule = Schedule(tuple(found))
    until, opening = schedule.open_until(now), schedule.next_opening(now)
    if until is not None:
        assert opening == now < until
        # Until the last moment it has the same end; at the end it is closed, but for openings of more than a week.
        assert schedule.open_until(until - INSTANT) is not None
        if until - now <= timedelta(days=7):
            assert schedule.open_until(until - INSTANT) == until
            assert schedule.open_until(until) is None
    else:
        assert now < opening <= now + timedelta(days=15)
        assert schedule.open_until(opening) is not None
        assert schedule.open_until(opening - INSTANT) is None


@settings(max_examples=100, deadline=None)
@given(entries, moments)
def test_an_entry_is_read_as_it_is_written(entry: ScheduleEntry, now: datetime) -> None:
    assert parse_entry(str(entry)) == entry
    # The clock on the wall shows a time of the entry, but where a jump or a day without that time lies between.
    until = Schedule((entry,)).open_until(now)
    assert until is None or until - now <= timedelta(days=9)


@pytest.mark.parametrize(
    ("entry", "now", "until"),
    [
        ("Tue 06:00-09:00 Europe/Berlin", "2026-12-01T06:00+01:00", "2026-12-01T09:00+01:00"),
        ("Tue 06:00-09:00 Europe/Berlin", "2026-12-01T09:00+01:00", None),
        ("Mon-Fri 22:00-02:00 UTC", "2026-12-05T01:59+00:00", "2026-12-05T02:00+00:00"),  # Friday's, on Saturday
        ("Mon-Fri 22:00-02:00 UTC", "2026-12-07T01:59+00:00", None),  # Sunday has none
        ("Sat,Sun 00:00-24:00 UTC", "2026-12-05T12:00+00:00", "2026-12-07T00:00+00:00"),
        # At 02:00 the clock was put forward to 03:00: the entry ends with the jump.
        ("Sun 01:00-02:30 Europe/Berlin", "2026-03-29T01:30+01:00", "2026-03-29T03:00+02:00"),
        # An entry that begins in the jump begins with it.
        ("Sun 02:30-04:00 Europe/Berlin", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"),
        ("Sun 02:10-02:50 Europe/Berlin", "2026-03-29T03:00+02:00", None),
        # At 03:00 it is put back to 02:00: the first of the two counts.
        ("Sun 01:00-02:30 Europe/Berlin", "2026-10-25T02:10+02:00", "2026-10-25T02:30+02:00"),
        ("Sun 01:00-02:30 Europe/Berlin", "2026-10-25T02:10+01:00", None),
        ("Sun 01:00-04:00 Europe/Berlin", "2026-10-25T01:00+02:00", "2026-10-25T04:00+01:00"),  # four hours
        ("Sun 01:00-02:15 Australia/Lord_Howe", "2026-10-04T01:59+10:30", "2026-10-04T02:30+11:00"),  # by 30 min
    ],
)
def test_a_schedule_is_open_by_the_clock_on_the_wall(entry: str, now: str, until: str | None) -> None:
    found = Schedule((parse_entry(entry),)).open_until(_at(now))
    assert found == (None if until is None else _at(until))


def test_a_day_that_a_zone_skipped_has_no_opening() -> None:
    # Samoa went from Thursday, 29 December 2011, to Saturday.
    schedule = Schedule((parse_entry("Fri 10:00-11:00 Pacific/Apia"),))
    assert schedule.next_opening(_at("2011-12-29T12:00-10:00")) == _at("2012-01-06T10:00+14:00")
