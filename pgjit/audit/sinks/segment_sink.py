"""A folder of segments with one writer: the sink of a single machine.

Decides which file is written, and in which order files are flushed. Does not know what a line contains, nor when a
segment is full. A segment that was closed is flushed before those after it, so a flush never leaves a hole.

A folder that was removed or moved away takes no lines. When it is back, the lines go on; when an empty folder is in
its place, which someone must have made, a new sequence begins there, with an origin of its own.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pgjit.audit.results.result_files import ResultFiles
from pgjit.audit.segments.backwards import lines_backwards
from pgjit.audit.segments.segment import Segment, list_segments
from pgjit.audit.sink import OpenedSink, SinkBroken, SinkLost
from pgjit.audit.sinks.journal_folder import JournalFolder
from pgjit.audit.sinks.open_segment import OpenSegment
from pgjit.audit.sinks.torn_lines import move_torn_tail, move_unreachable, torn_line

__all__ = ["SegmentSink"]

_log = logging.getLogger("pgjit.journal")


class SegmentSink:
    def __init__(self, path: Path, owner: str = "pgjit/0") -> None:
        """`owner`: the writer, as the origin of its lines begins: `<node>/<worker>`."""
        self._path = path
        self._owner = owner
        self._folder: JournalFolder | None = None
        self._segment: OpenSegment | None = None
        self._retired: deque[OpenSegment] = deque()  # closed to new lines, not flushed yet
        self._names_changed = False
        self.results = ResultFiles(path, lambda: self.lines)
        self._broken: str | None = None
        self._lost = False

    @property
    def name(self) -> str:
        return str(self._path)

    @property
    def origin(self) -> str:
        return "" if self._folder is None else self._folder.origin

    @property
    def lines(self) -> int:
        return 0 if self._segment is None else self._segment.first + self._segment.lines

    @property
    def open_bytes(self) -> int:
        return 0 if self._segment is None else self._segment.length

    def open(self) -> OpenedSink:
        if not self._path.exists():
            self._path.mkdir(mode=0o700)
        try:
            self._folder, self._segment = _taken(self._path, self._owner)
            last = next(self.lines_back(), None)
            return OpenedSink(last, self._segment.first_line(), torn_line(self._folder, self.lines))
        except BaseException:
            self.close()
            raise

    def append(self, lines: bytes) -> None:
        self._checked().append(lines)

    def rotate(self) -> None:
        segment = self._checked()
        if segment.lines:
            self._segment = OpenSegment(self._path, segment.first + segment.lines, new=True)
            self._retired.append(segment)
            self._names_changed = True
            self.results.rotate()

    def probe(self) -> None:
        self._checked().probe()

    def reopen(self, *, anew: bool = True) -> bool:
        if self._broken is not None or self._segment is None or self._folder is None:
            raise SinkBroken(self._broken or f"{self._path} is not open")
        if self._segment.in_place:
            self._lost = False
            self._checked()
            return True
        if not anew:
            raise SinkLost(f"{self._path} is still being flushed")
        if not self._folder.replaced:
            raise OSError(f"{self._segment.path} was removed while it was written")
        if (self._path / "origin").exists() or list_segments(self._path):
            raise OSError(f"{self._path} is another journal than the one that was written")
        folder, segment = _taken(self._path, self._owner)
        _log.critical(
            "%s was replaced by an empty folder: its %d lines of %s are missing from it",
            self._path, self.lines, self.origin,
        )  # fmt: skip
        self.close()
        self._folder, self._segment = folder, segment
        return False

    def lines_back(self) -> Iterator[bytes]:
        if (segment := self._segment) is None:
            return
        yield from segment.lines_back()
        for closed in reversed(list_segments(self._path)):
            if closed.first < segment.first:
                for line in lines_backwards(closed):
                    yield line + b"\n"

    def flush(self) -> tuple[Segment, ...]:
        # In the thread of the journal. It alone closes what is retired; the event loop appends and retires.
        segment, closed = self._segment, []
        if segment is None or self._folder is None:
            raise SinkBroken(f"{self._path} is not open")
        self.results.flush()
        while self._retired and self._retired[0] is not segment:
            retired = self._retired[0]
            retired.sync()
            retired.close()
            self._retired.popleft()
            closed.append(retired.closed)
        if self._names_changed:
            self._names_changed = False
            self._folder.sync()
        segment.sync()
        return tuple(closed)

    def close(self) -> None:
        for segment in (*self._retired, self._segment):
            if segment is not None:
                segment.close()
        self._retired.clear()
        self.results.close()
        self._segment = self._broken = None
        self._names_changed = self._lost = False
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def _checked(self) -> OpenSegment:
        """The open segment, if it can be written. Raises OSError."""
        if self._broken is not None or self._segment is None or self._folder is None:
            raise SinkBroken(self._broken or f"{self._path} is not open")
        if self._lost:
            raise SinkLost(f"{self._path} is not where it was")
        try:
            self._segment.check()
        except SinkBroken as error:
            self._broken = str(error)
            raise
        except SinkLost:
            self._lost = True
            raise
        self._folder.check()
        return self._segment


def _taken(path: Path, owner: str) -> tuple[JournalFolder, OpenSegment]:
    """Lock the folder, heal it, and open its last segment, or a first one. Raises OSError."""
    folder = JournalFolder(path)
    segment: OpenSegment | None = None
    try:
        folder.take(owner)
        segment = _last_segment(folder)
        move_torn_tail(folder, segment)
        segment.sync()
        folder.sync()  # the file's name must survive a crash too
    except BaseException:
        folder.close()
        if segment is not None:
            segment.close()
        raise
    return folder, segment


def _last_segment(folder: JournalFolder) -> OpenSegment:
    segments = list_segments(folder.path)
    if not segments:
        return OpenSegment(folder.path, 0, new=True)
    last = segments[-1]
    if last.compressed:  # the segment after it is missing
        return OpenSegment(folder.path, last.first + sum(map(len, last.line_blocks())), new=True)
    if len(segments) > 1 and not segments[-2].compressed:
        before = OpenSegment(folder.path, segments[-2].first, new=False)
        if before.first + before.lines < last.first:
            move_unreachable(folder, last.path, before.first + before.lines)
            return before
        before.close()
    return OpenSegment(folder.path, last.first, new=False)
