"""Time that makes no window longer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pgjit.clock import Clock, Until, nanoseconds_of

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Times:
    """Both clocks of a machine."""

    def __init__(self) -> None:
        self.wall = START
        self.steady = 100.0

    def clock(self) -> Clock:
        return Clock(wall=lambda: self.wall, steady=lambda: self.steady)

    def pass_(self, seconds: float, *, wall: float | None = None) -> None:
        self.steady += seconds
        self.wall += timedelta(seconds=seconds if wall is None else wall)


def test_time_passes_as_on_the_wall() -> None:
    times = Times()
    clock = times.clock()
    assert clock() == START
    times.pass_(60)
    assert clock() == START + timedelta(seconds=60)


def test_a_wall_clock_that_is_set_back_does_not_lengthen_a_window() -> None:
    times = Times()
    clock = times.clock()
    times.pass_(60, wall=-3600)
    assert clock() == START + timedelta(seconds=60)
    times.pass_(60)
    assert clock() == START + timedelta(seconds=120)


def test_a_wall_clock_that_is_set_forward_is_followed_and_back_when_that_is_put_right() -> None:
    times = Times()
    clock = times.clock()
    times.pass_(60, wall=3600)
    assert clock() == START + timedelta(seconds=3600)
    times.pass_(10, wall=-3530)
    assert clock() == START + timedelta(seconds=70)
    times.pass_(10, wall=-3600)  # further than where it was: that is another mistake, and is not followed
    assert clock() == START + timedelta(seconds=80)


def test_who_waits_for_a_moment_waits_no_longer_than_was_left_when_he_began() -> None:
    times = Times()
    clock = times.clock()
    before = clock.until(clock() + timedelta(minutes=30))
    times.pass_(0, wall=600)
    ahead = clock.until(clock() + timedelta(minutes=30))
    assert before.left == timedelta(minutes=20)  # a clock that is set forward ends it earlier
    times.pass_(60, wall=-540)
    assert before.left == timedelta(minutes=29)
    assert before.expected_at == START + timedelta(minutes=30)
    assert ahead.left == timedelta(minutes=29)
    assert ahead.expected_at == START + timedelta(minutes=30)  # it stood at minute 40
    times.pass_(29 * 60 - 1)
    assert (before.passed, ahead.passed) == (False, False)
    times.pass_(1)
    assert (before.passed, ahead.passed) == (True, True)


def test_time_begins_no_earlier_than_what_was_written_down() -> None:
    times = Times()
    clock = times.clock()
    clock.not_before(START + timedelta(hours=1))
    assert clock() == START + timedelta(hours=1)
    times.pass_(60)
    assert clock() == START + timedelta(hours=1, seconds=60)
    clock.not_before(START)
    assert clock() == START + timedelta(hours=1, seconds=60)


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(-10_000, 10_000)), max_size=20), st.floats(0, 5000))
def test_whatever_the_wall_clock_does_no_window_is_longer_than_it_was_granted(
    steps: list[tuple[float, float]], length: float
) -> None:
    times = Times()
    clock = times.clock()
    granted: list[tuple[float, Until]] = []
    for steady, wall in steps:
        granted.append((times.steady, clock.until(clock() + timedelta(seconds=length))))
        times.pass_(steady, wall=wall)
        assert clock() >= max(times.wall, START + timedelta(seconds=times.steady - 100) - timedelta(microseconds=5))
        for since, until in granted:
            assert until.passed or times.steady - since < length + 0.001
            assert until.left <= timedelta(seconds=length - (times.steady - since) + 0.001)


def test_the_real_clock_is_aware_and_in_utc() -> None:
    assert Clock()().utcoffset() == timedelta(0)


def test_nanoseconds_are_the_same_time() -> None:
    times = Times()
    clock = times.clock()
    for wall in (0.25, -3600.0, 7200.0):
        times.pass_(10, wall=wall)
        assert datetime.fromtimestamp(clock.nanoseconds() / 1e9, UTC) == clock()


async def test_a_turn_of_the_event_loop_has_one_time() -> None:
    times = Times()
    clock = times.clock()
    first = clock.of_turn()
    times.pass_(1)
    assert clock.of_turn() == first == nanoseconds_of(START)
    await asyncio.sleep(0)
    assert clock.of_turn() == nanoseconds_of(START + timedelta(seconds=1))


def test_an_earlier_end_keeps_what_was_left_by_the_steady_clock() -> None:
    clock = Clock(wall=lambda: datetime(2026, 3, 1, tzinfo=UTC), steady=lambda: 0.0)
    first, later = (clock.until(clock() + timedelta(minutes=minutes)) for minutes in (5, 10))
    assert first.no_later_than(later) == first
    kept = later.no_later_than(first)
    assert (kept.moment, kept.nanoseconds, kept.steady) == (later.moment, later.nanoseconds, first.steady)
