"""Time that never goes backwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pgjit.clock import Clock

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


def test_a_wall_clock_that_is_set_forward_is_followed_and_kept() -> None:
    times = Times()
    clock = times.clock()
    times.pass_(60, wall=3600)
    assert clock() == START + timedelta(seconds=3600)
    times.pass_(10, wall=-3540)
    assert clock() == START + timedelta(seconds=3610)


def test_time_begins_no_earlier_than_what_was_written_down() -> None:
    times = Times()
    clock = times.clock()
    clock.not_before(START + timedelta(hours=1))
    assert clock() == START + timedelta(hours=1)
    times.pass_(60)
    assert clock() == START + timedelta(hours=1, seconds=60)
    clock.not_before(START)
    assert clock() == START + timedelta(hours=1, seconds=60)


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(-10_000, 10_000)), max_size=20))
def test_whatever_the_wall_clock_does_time_advances_at_least_as_the_steady_one(
    steps: list[tuple[float, float]],
) -> None:
    times = Times()
    clock = times.clock()
    before = clock()
    for steady, wall in steps:
        times.pass_(steady, wall=wall)
        now = clock()
        assert now - before >= timedelta(seconds=steady) - timedelta(microseconds=5)
        assert now >= times.wall
        before = now


def test_the_real_clock_is_aware_and_in_utc() -> None:
    assert Clock()().utcoffset() == timedelta(0)
