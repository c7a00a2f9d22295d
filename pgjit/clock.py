"""The time by which windows and tokens are measured.

It is the wall clock, but never behind the time that has passed since the start by a clock that only goes forward
(the steady clock). If the wall clock is set forward, this time follows and windows end earlier, which is safe. If
the wall clock is then corrected, this time goes back with it, so that tokens do not stay expired.

INVARIANT: no window becomes longer, whatever the wall clock does. Code that waits for a moment waits for an `Until`.
An `Until` passes at the latest after the time that was left when it was made, by the steady clock.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pgjit.loop_turn import at_end_of_turn

__all__ = ["Clock", "Until", "moment_of", "nanoseconds_of"]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SLACK = timedelta(seconds=1)
"""Two clocks never agree exactly."""


_steady: Callable[[], float] = (
    functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Seconds of a clock that only goes forward; where possible, one that also counts while the machine sleeps."""


@dataclass(frozen=True, slots=True)
class Until:
    """A moment to wait for. It has passed when the clock reaches it, or when the time that was left is over."""

    moment: datetime
    clock: Clock
    steady: float  # when it has passed at the latest, in seconds of the steady clock
    nanoseconds: int  # `moment`, since 1970

    @property
    def left(self) -> timedelta:
        """The time that is left; zero or less when the moment has passed."""
        return min(self.moment - self.clock(), timedelta(seconds=self.steady - self.clock.steady()))

    @property
    def passed(self) -> bool:
        clock = self.clock
        steady = clock.steady()
        return steady >= self.steady or clock.nanoseconds(steady) >= self.nanoseconds

    def no_later_than(self, other: Until) -> Until:
        """The same moment; by the steady clock it passes no later than `other`."""
        return self if self.steady <= other.steady else replace(self, steady=other.steady)

    @property
    def expected_at(self) -> datetime:
        """The clock's reading when the moment will have passed: earlier than `moment` if the clock went back."""
        comes = self.clock() + timedelta(seconds=self.steady - self.clock.steady())
        return comes if self.moment - comes > _SLACK else self.moment


class Clock:
    def __init__(
        self,
        *,
        wall: Callable[[], datetime] | None = None,
        steady: Callable[[], float] = _steady,
    ) -> None:
        """`wall`: for tests."""
        self._wall_nanoseconds = time.time_ns if wall is None else lambda: nanoseconds_of(wall())
        self._wall = wall or (lambda: datetime.now(UTC))
        self.steady = steady
        self._turn = 0  # nanoseconds; 0: not read in this turn
        self._begin(self._wall())

    def _begin(self, moment: datetime) -> None:
        """The time is `moment` now, by the steady clock."""
        self._anchor = moment
        self._anchor_nanoseconds = nanoseconds_of(moment)
        self._since = self.steady()

    def __call__(self) -> datetime:
        """Now, in UTC: the later of the wall clock and the start plus the time that has passed since."""
        passed = self._anchor + timedelta(seconds=self.steady() - self._since)
        return max(self._wall(), passed)

    def nanoseconds(self, steady: float | None = None) -> int:
        """The same in nanoseconds since 1970. It takes a fraction of the time to read.

        `steady`: what the steady clock has just shown.
        """
        passed = self._anchor_nanoseconds + int(((self.steady() if steady is None else steady) - self._since) * 1e9)
        return max(self._wall_nanoseconds(), passed)

    def of_turn(self) -> int:
        """Nanoseconds, read once in each turn of the event loop: for its records and durations, which are many."""
        now = self._turn
        if not now:
            now = self._turn = self.nanoseconds()
            at_end_of_turn(self._end_turn)
        return now

    def _end_turn(self) -> None:
        self._turn = 0

    def until(self, moment: datetime) -> Until:
        return Until(moment, self, self.steady() + (moment - self()).total_seconds(), nanoseconds_of(moment))

    def not_before(self, floor: datetime) -> None:
        """Start at `floor` if that is later than now: the latest moment that an earlier process has stored."""
        if floor > self():
            self._begin(floor)


def nanoseconds_of(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // _MICROSECOND * 1000


def moment_of(nanoseconds: int) -> datetime:
    """In UTC. The nanoseconds below a microsecond are dropped."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
