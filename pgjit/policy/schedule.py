"""When a policy opens windows: weekly entries such as "Tue 06:00-09:00 Europe/Berlin". Pure.

An entry begins on one of its days and ends on the same day, or on the next one if its end is not after its start.
Its times are those of the clock on the wall in its time zone. Where that clock is put forward, a time that it skips
means the moment of the jump. Where it is put back, a time that comes twice means the first of the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

__all__ = ["DAYS", "Schedule", "ScheduleEntry", "parse_entry"]

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ENTRY = re.compile(
    r"(?P<days>[A-Za-z,-]+) (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d) (?P<zone>[A-Za-z0-9_+/-]+)\Z", re.ASCII
)
_DAY = timedelta(days=1)
_FARTHEST = timedelta(days=8)
"""How far ahead the end of entries that follow each other without a gap is looked for: no window is that long."""
_SEARCH_DAYS = 15
"""Each entry begins once a week, but for a day that a time zone skipped or a time that fell into a jump."""


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """Days of the week (Monday is 0), and minutes after midnight."""

    days: tuple[int, ...]
    start: int
    end: int  # up to 1440; not after `start`: on the next day
    zone: str

    def __str__(self) -> str:
        return f"{_days_text(self.days)} {_clock(self.start)}-{_clock(self.end)} {self.zone}"

    def occurrence(self, day: date) -> tuple[datetime, datetime] | None:
        """Start and end in UTC of the occurrence that begins on `day`; None if there is none."""
        if day.weekday() not in self.days:
            return None
        start = _instant(day, self.start, self.zone)
        end = _instant(day if self.end > self.start else day + _DAY, self.end, self.zone)
        return (start, end) if start < end else None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Open while any of its entries is."""

    entries: tuple[ScheduleEntry, ...]

    def __str__(self) -> str:
        return ", ".join(str(entry) for entry in self.entries)

    def open_until(self, now: datetime) -> datetime | None:
        """The end of the entry that `now` lies in, and of those that continue it without a gap. None outside."""
        until = now = _utc(now)
        spans = sorted(self._occurrences(now, 10))
        for start, end in spans:
            if start <= until < end:
                until = end
            if until - now > _FARTHEST:
                break
        return until if until > now else None

    def next_opening(self, now: datetime) -> datetime:
        """The first moment from `now` on at which the schedule is open: `now` itself if it is."""
        now = _utc(now)
        return min(max(start, now) for start, end in self._occurrences(now, _SEARCH_DAYS) if end > now)

    def _occurrences(self, now: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
        for entry in self.entries:
            today = now.astimezone(ZoneInfo(entry.zone)).date()
            for ahead in range(-2, days):
                span = entry.occurrence(today + ahead * _DAY)
                if span is not None:
                    yield span


def parse_entry(text: str) -> ScheduleEntry:
    """Raises ValueError with what is wrong with `text`."""
    match = _ENTRY.match(text)
    if match is None:
        raise ValueError("must be days, hours and a time zone, such as Tue 06:00-09:00 Europe/Berlin")
    start, end = _minutes(match["start"]), _minutes(match["end"])
    if start == 1440:
        raise ValueError("begins at 24:00: write 00:00 of the next day")
    if start == end:
        raise ValueError("never opens: it ends when it begins; a whole day is 00:00-24:00")
    try:
        ZoneInfo(match["zone"])
    except (KeyError, OSError):
        raise ValueError(f"names a time zone that is not known: `{match['zone']}`") from None
    return ScheduleEntry(_parse_days(match["days"]), start, end, match["zone"])


def _parse_days(text: str) -> tuple[int, ...]:
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin = _day(first)
        length = (_day(last) - begin) % 7 if dash else 0
        days |= {(begin + more) % 7 for more in range(length + 1)}
    return tuple(sorted(days))


def _day(word: str) -> int:
    if word.capitalize() not in DAYS:
        raise ValueError(f"`{word}` is not a day: write {', '.join(DAYS)}")
    return DAYS.index(word.capitalize())


def _minutes(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if minutes > 59 or hours * 60 + minutes > 1440:
        raise ValueError(f"`{text}` is not a time of day: write 00:00 to 24:00")
    return hours * 60 + minutes


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _days_text(days: tuple[int, ...]) -> str:
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > 2 else ",".join(DAYS[day] for day in run) for run in runs
    )


def _instant(day: date, minutes: int, zone: str) -> datetime:
    """The moment at which the clock of `zone` shows the time, in UTC."""
    local = datetime.combine(day + minutes // 1440 * _DAY, time(minutes // 60 % 24, minutes % 60))
    early = local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    if early.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local:
        return early
    return _jump(local, ZoneInfo(zone))


def _jump(local: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which the clock skips `local`: between the readings of the two offsets, to the second."""
    low = local.replace(tzinfo=zone, fold=1).astimezone(UTC)  # the offset after the jump: before it
    high = local.replace(tzinfo=zone, fold=0).astimezone(UTC)  # the offset before the jump: after it
    after = high.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        low, high = (low, middle) if middle.astimezone(zone).utcoffset() == after else (middle, high)
    return high


def _utc(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("the time has no time zone")
    return now.astimezone(UTC)
