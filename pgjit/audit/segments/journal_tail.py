"""Follows the journal's folder: the lines from an index on, while pgjit writes, rotates and compresses its segments.

Decides which file a line is read from and when a segment is over. It returns whole lines only. Lines that are missing
are skipped and counted in `skipped`. What a gap, a cut journal or a damaged segment means is decided by its callers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pgjit.audit.segments.damage import SegmentDamaged
from pgjit.audit.segments.segment import Segment, list_segments

__all__ = ["JournalTail"]

_BLOCK = 1 << 20


class JournalTail:
    """`read` returns the lines that come next. `index` is that of the next line that it will return."""

    def __init__(
        self,
        folder: Path,
        index: int,
        *,
        on_loss: Callable[[str], None] = lambda _: None,
        on_damage: Callable[[SegmentDamaged], None] = lambda _: None,
    ) -> None:
        """`on_loss` gets a sentence when lines are missing or the journal was cut. `on_damage` may raise."""
        self._folder = folder
        self._on_loss = on_loss
        self._on_damage = on_damage
        self.index = index
        self.skipped = 0
        self._segment: Segment | None = None
        self._descriptor = -1  # of a plain segment
        self._offset = 0  # of the line `_at`, in the plain segment
        self._at = 0  # the index of the next line in the segment
        self._blocks: Iterator[list[bytes]] | None = None  # of a compressed segment

    def read(self) -> list[bytes]:
        """The next lines, about a MiB; none if there are none yet. Raises OSError."""
        while True:
            if self._segment is None and not self._open_next():
                return []
            lines = self._read_blocks() if self._blocks is not None else self._read_plain()
            if lines is None:
                self.close()
                continue
            fresh = lines[max(0, self.index - self._at) :]
            self._at += len(lines)
            if fresh:
                self.index = self._at
                return fresh
            if not lines:
                self._check_length()
                return []

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._segment, self._blocks = -1, None, None

    def _open_next(self) -> bool:
        """Open the segment that has the next line; false if there is none yet."""
        segments = list_segments(self._folder)
        if not segments:
            return False
        if segments[0].first > self.index:
            self._skip_to(segments[0].first)
        segment = [each for each in segments if each.first <= self.index][-1]
        self._segment, self._at, self._offset = segment, segment.first, 0
        if segment.compressed:
            self._blocks = segment.line_blocks()
            return True
        try:
            self._descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # it was compressed after the folder was listed
            self._segment = None
            return self._open_next()
        return True

    def _read_blocks(self) -> list[bytes] | None:
        """The next block of a compressed segment; None after the last."""
        assert self._blocks is not None
        try:
            block = next(self._blocks, None)
        except SegmentDamaged as damaged:
            self._on_damage(damaged)
            block = None
        return self._after_last() if block is None else block

    def _read_plain(self) -> list[bytes] | None:
        """The next whole lines of a plain segment; None after the last, if another segment follows."""
        followed = self._following() is not None  # looked up first: then what is read now is all of it
        size = _BLOCK
        while True:
            data = os.pread(self._descriptor, size, self._offset)
            end = data.rfind(b"\n") + 1
            if end or len(data) < size:
                break
            size *= 2
        self._offset += end
        lines = data[:end].split(b"\n")[:-1]
        return self._after_last() if followed and not lines else lines

    def _following(self) -> Segment | None:
        assert self._segment is not None
        later = (each for each in list_segments(self._folder) if self._segment and each.first > self._segment.first)
        return next(later, None)

    def _after_last(self) -> list[bytes] | None:
        """The segment is over. If another follows that begins later than it should, lines are missing."""
        following = self._following()
        if following is None:
            return []
        if following.first > self.index:
            self._skip_to(following.first)
        return None

    def _check_length(self) -> None:
        """A journal that is shorter than what was read of it was cut: what is written from now on comes next."""
        if self._at < self.index:
            self._on_loss(f"the journal ends at line {self._at}, and {self.index} were read before: it was cut")
            self.index = self._at

    def _skip_to(self, index: int) -> None:
        self._on_loss(f"the journal lacks the {index - self.index} lines from {self.index} on")
        self.skipped += index - self.index
        self.index = index
