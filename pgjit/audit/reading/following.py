"""Follows a journal while it is written: its last lines first, then new ones as they appear.

Decides where to begin, and that a damaged segment ends it. `segments/journal_tail.py` finds the lines across
rotation, compression and retention. Does not wait for lines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import orjson

from pgjit.audit.segments import Segment, SegmentDamaged, list_segments
from pgjit.audit.segments.journal_tail import JournalTail

__all__ = ["JournalFollower"]


class JournalFollower:
    """The lines of one folder, each once. `missed`: how many were gone before they were read. Close it after use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missed = 0
        self._tail = JournalTail(folder, 0, on_damage=_raise)

    def begin(self, last: int) -> list[bytes]:
        """The last lines that are there; `poll` returns those after them. Raises OSError and SegmentDamaged."""
        # The newest segment may have just begun: the one before it has lines, too.
        if segments := list_segments(self.folder)[-2:]:
            self._tail.index = segments[0].first
        return list(deque(self.poll(), maxlen=last))

    def begin_at(self, since: datetime) -> Iterator[bytes]:
        """The lines from the segment on that has this moment; `poll` returns those after them. Raises as `begin`."""
        for segment in reversed(list_segments(self.folder)):
            self._tail.index = segment.first
            if (began := _first_time(segment)) is not None and began <= since:
                break
        return self.poll()

    def poll(self) -> Iterator[bytes]:
        """The lines that were added, without their newlines. Raises OSError and SegmentDamaged."""
        while lines := self._tail.read():
            yield from lines
        self.missed += self._tail.skipped
        self._tail.skipped = 0

    def close(self) -> None:
        self._tail.close()


def _first_time(segment: Segment) -> datetime | None:
    """The time of its first record; None if it has none yet. Raises OSError and SegmentDamaged."""
    line = next(segment.lines(), None)
    try:
        return None if line is None else datetime.fromisoformat(orjson.loads(line)["time"])
    except (ValueError, KeyError, TypeError):
        return None


def _raise(damage: SegmentDamaged) -> None:
    raise damage
