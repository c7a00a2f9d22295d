"""What a difference between two clocks means. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pgjit.doctor.finding import Finding, Severity

__all__ = ["ClockReading", "clock_findings"]

_NOTICEABLE = timedelta(seconds=1)
_TOO_FAR = timedelta(seconds=5)
"""A node whose clock is further ahead of the store's opens no window (`node-clock-ahead`)."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """`sent` and `answered`: when, by this machine's clock. `theirs`: the other clock, read between the two."""

    sent: datetime
    answered: datetime
    theirs: datetime

    @property
    def ahead(self) -> timedelta:
        """How far this machine's clock is ahead, at least; negative if it is behind; 0 if that cannot be known."""
        if self.theirs < self.sent:
            return self.sent - self.theirs
        return min(timedelta(), self.answered - self.theirs)


def clock_findings(whose: str, reading: ClockReading, *, of_store: bool = False) -> Iterator[Finding]:
    """`whose`: as people read it. `of_store`: windows are measured by that clock on every node."""
    ahead = reading.ahead
    size, way = abs(ahead), "ahead of" if ahead > timedelta() else "behind"
    if size < _NOTICEABLE:
        why = "the two were compared while the server answered"
        message = f"the clock of this machine agrees with that of {whose}"
        yield Finding(severity=Severity.NOTE, reference="clock", message=message, why=why)
        return
    dangerous = of_store and ahead > _TOO_FAR
    yield Finding(
        severity=Severity.DANGER if dangerous else Severity.WARNING,
        reference="clock-differs",
        message=f"the clock of this machine is {size.total_seconds():.1f} s {way} that of {whose}",
        why="this node opens no windows until they agree"
        if dangerous
        else "times in records and ends of windows differ",
        advice="Let a time service (chrony, systemd-timesyncd) set both.",
    )
