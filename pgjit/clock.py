"""The time by which windows and tokens are measured.

It is the wall clock, but never behind the time that has passed since the start by a clock that only goes forward
(the steady clock). If the wall clock is set forward, this time follows and windows end earlier, which is safe. If
the wall clock is then corrected, this time goes back with it, so that tokens do not stay expired.

INVARIANT: no window becomes longer, whatever the wall clock does. Code that waits for a moment waits for an `Until`.
An `Until` passes at the latest after the time that was left when it was made, by the steady clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["Clock", "Until"]


_SLACK = timedelta(seconds=1)
"""Two clocks never agree exactly."""


def _steady() -> float:
    """Seconds of a clock that only goes forward; where possible, one that also counts while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class Until:
    """A moment to wait for. It has passed when the clock reaches it, or when the time that was left is over."""

    moment: datetime
    clock: Clock
    steady: float  # when it has passed at the latest, in seconds of the steady clock

    @property
    def left(self) -> timedelta:
        """The time that is left; zero or less when the moment has passed."""
        return min(self.moment - self.clock(), timedelta(seconds=self.steady - self.clock.steady()))

    @property
    def passed(self) -> bool:
        return self.left <= timedelta()

    @property
    def expected_at(self) -> datetime:
        """The clock's reading when the moment will have passed: earlier than `moment` if the clock went back."""
        comes = self.clock() + timedelta(seconds=self.steady - self.clock.steady())
        return comes if self.moment - comes > _SLACK else self.moment


class Clock:
    def __init__(
        self,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = _steady,
    ) -> None:
        self._wall = wall
        self.steady = steady
        self._anchor = wall()
        self._since = steady()

    def __call__(self) -> datetime:
        """Now, in UTC: the later of the wall clock and the start plus the time that has passed since."""
        passed = self._anchor + timedelta(seconds=self.steady() - self._since)
        return max(self._wall(), passed)

    def until(self, moment: datetime) -> Until:
        return Until(moment, self, self.steady() + (moment - self()).total_seconds())

    def not_before(self, floor: datetime) -> None:
        """Start at `floor` if that is later than now: the latest moment that an earlier process has stored."""
        if floor > self():
            self._anchor, self._since = floor, self.steady()
