"""The time, never going backwards: what windows are measured with.

Wall time anchored to a clock that only goes forward. A wall clock that is set back does not make a window
longer; one that is set forward ends it earlier, which is the safe side.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

__all__ = ["Clock"]


def _steady() -> float:
    """Seconds of a clock that also counts while the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Clock:
    def __init__(
        self,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = _steady,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._anchor = wall()
        self._since = steady()

    def __call__(self) -> datetime:
        """Now, in UTC: the later of the wall clock and what has passed since the start."""
        passed = self._anchor + timedelta(seconds=self._steady() - self._since)
        wall = self._wall()
        if wall > passed:
            self._anchor, self._since = wall, self._steady()
            return wall
        return passed

    def not_before(self, floor: datetime) -> None:
        """Begin no earlier than `floor`: what an earlier process has already written down."""
        if floor > self():
            self._anchor, self._since = floor, self._steady()
