"""What happened to the journal itself, as values: torn lines, a replaced folder, dropped segments, space on disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = [
    "JournalReplaced",
    "JournalSpaceLow",
    "JournalSpaceRegained",
    "JournalTorn",
    "KeepingEvent",
    "SaltsDropped",
    "SegmentDropped",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingEvent:
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalTorn(KeepingEvent):
    """A crash left something unfinished, which was moved to `files` beside the segments. No record of it is lost.

    `line`: the index that the line would have had; this record has it now.
    """

    line: int
    bytes: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalReplaced(KeepingEvent):
    """The folder was removed while the journal was written, and an empty one came in its place.

    The journal goes on in it, as a new log. `lines`, `seq` and `sha256` are of the earlier one: how many lines it
    had, the number of its last record, and the SHA-256 of that line.
    """

    origin: str
    origin_before: str
    lines: int
    seq: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentDropped(KeepingEvent):
    """A closed segment is older than the journal keeps. Written before its file is removed."""

    segment: str
    first: int
    lines: int
    until: datetime
    """No record of it is later."""
    archived: str | None
    """Where its copy is."""
    unsent: int = 0
    """How many of its records the collector does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaltsDropped(KeepingEvent):
    """The salts of these days are removed: what was redacted on them is erased. Written before they are removed."""

    days: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSpaceLow(KeepingEvent):
    """The journal's disk has less free space than the configuration warns at."""

    free_bytes: int
    warn_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSpaceRegained(KeepingEvent):
    free_bytes: int
    warn_bytes: int
