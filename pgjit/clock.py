"""The time: what windows are measured with, and tokens.

Wall time, held against a clock that only goes forward: it is never behind what has passed since the start. A wall
clock that is set forward is followed, and ends windows earlier, which is the safe side. When that was a mistake and
is put right, the time goes back with it: nobody's token stays expired for it.

INVARIANT: no window becomes longer, whatever the wall clock does. Who waits for a moment waits for an `Until`, and
that is over after as much time as was left when it was made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["Clock", "Until"]


_SLACK = timedelta(seconds=1)
"""Two clocks never agree to the last."""


def _steady() -> float:
    """Seconds of a clock that also counts while the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class Until:
    """A moment that is waited for: it has come when the clock says so, or when the time that was left has passed."""

    moment: datetime
    clock: Clock
    steady: float  # when it has come at the latest, in seconds of the clock that only goes forward

    @property
    def left(self) -> timedelta:
        """How long it is still to be waited for; not more than nothing when the moment has come."""
        return min(self.moment - self.clock(), timedelta(seconds=self.steady - self.clock.steady()))

    @property
    def passed(self) -> bool:
        return self.left <= timedelta()

    @property
    def expected_at(self) -> datetime:
        """When it comes, as the clock goes now: earlier than the moment where the clock has gone back."""
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
        """Now, in UTC: the later of the wall clock and what has passed since the start."""
        passed = self._anchor + timedelta(seconds=self.steady() - self._since)
        return max(self._wall(), passed)

    def until(self, moment: datetime) -> Until:
        return Until(moment, self, self.steady() + (moment - self()).total_seconds())

    def not_before(self, floor: datetime) -> None:
        """Begin no earlier than `floor`: what an earlier process has already written down."""
        if floor > self():
            self._anchor, self._since = floor, self.steady()
