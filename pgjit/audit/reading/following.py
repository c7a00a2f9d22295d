"""Follows a journal while it is written: new lines as they appear, across rotation, compression and retention.

Decides where to begin, and how the next segment is found: it begins with the number of the next line. A file that is
compressed or removed while it is read stays readable, because it is open. Does not wait for lines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from pgjit.audit.segments import Segment, list_segments

__all__ = ["JournalFollower"]

_BLOCK: Final = 1 << 20


class JournalFollower:
    """The lines of one folder, each once. `missed`: how many were gone before they were read. Close it after use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missed = 0
        self._file: BinaryIO | None = None
        self._first = -1  # the number of the first line of the segment that was entered last
        self._next = 0  # the number of the line that comes next
        self._rest = b""

    def begin(self, last: int) -> list[bytes]:
        """The last lines that are there; `poll` returns those after them. Raises OSError and SegmentDamaged."""
        found: deque[bytes] = deque(maxlen=last)
        # The newest segment may have just begun: the one before it has lines, too.
        segments = list_segments(self.folder)[-2:]
        for segment in segments[:-1]:
            found.extend(segment.lines())
        for segment in segments[-1:]:
            self._next = segment.first
            found.extend(self._enter(segment))
        return list(found)

    def poll(self) -> Iterator[bytes]:
        """The lines that were added, without their newlines. Raises OSError and SegmentDamaged."""
        yield from self._read()
        while (segment := self._further()) is not None:
            if segment.first != self._next:
                # The writer may have gone on in the old file, after it was read and before the folder was listed.
                yield from self._read()
                self.missed += max(0, segment.first - self._next)
            yield from self._enter(segment)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _further(self) -> Segment | None:
        later = (each for each in list_segments(self.folder) if each.first > self._first and each.first >= self._next)
        return next(later, None)

    def _enter(self, segment: Segment) -> Iterator[bytes]:
        """Its lines. If it is plain, it stays open: more may follow."""
        self.close()
        if not segment.compressed:
            try:
                self._file = segment.path.open("rb")
            except FileNotFoundError:
                if segment.open:
                    return  # it was removed or compressed meanwhile: the next call lists the folder again
        self._first, self._next, self._rest = segment.first, segment.first, b""
        if self._file is not None:
            yield from self._read()
            return
        for line in segment.lines():
            self._next += 1
            yield line

    def _read(self) -> Iterator[bytes]:
        while self._file is not None and (block := self._file.read(_BLOCK)):
            *lines, self._rest = (self._rest + block).split(b"\n")
            self._next += len(lines)
            yield from lines
