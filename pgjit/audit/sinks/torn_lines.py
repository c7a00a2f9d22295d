"""What a crash left unfinished: moved aside into files beside the segments, nothing thrown away.

Decides the names of these files: `torn-` and the index that the line would have had. While the journal has no line
with this index, the record of it is still due, because it is the next line.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pgjit.audit.segments.segment import segment_name
from pgjit.audit.sink import TornLine
from pgjit.audit.sinks.journal_folder import JournalFolder
from pgjit.audit.sinks.open_segment import OpenSegment

__all__ = ["move_torn_tail", "move_unreachable", "torn_line"]

_log = logging.getLogger("pgjit.journal")


def move_torn_tail(folder: JournalFolder, segment: OpenSegment) -> None:
    """Move the half line at the end of a segment aside. Raises OSError."""
    if (torn := segment.torn) == 0:
        return
    aside = _free_name(folder.path, segment.first + segment.lines)
    target = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for block in segment.blocks_after(segment.length):
            with memoryview(block) as view:
                written = 0
                while written < len(block):
                    written += os.write(target, view[written:])
        os.fsync(target)
    finally:
        os.close(target)
    folder.sync()  # the copy is safe before the original is cut
    segment.cut_torn()
    _log.error("the last %d bytes of %s are half a line: moved to %s", torn, segment.path, aside)


def move_unreachable(folder: JournalFolder, path: Path, line: int) -> None:
    """Move a segment aside that begins after a line that is missing: a crash of the machine lost the end of the one
    before it, which was not flushed yet. Raises OSError."""
    aside = _free_name(folder.path, line)
    path.rename(aside)
    folder.sync()
    _log.error("%s follows lines that were lost: moved to %s", path, aside)


def torn_line(folder: JournalFolder, lines: int) -> TornLine | None:
    """What was moved aside and is not recorded yet, in a journal of this many lines. Raises OSError."""
    files = sorted(path for path in folder.path.glob(f"{_stem(lines)}*") if path.is_file())
    if not files:
        return None
    return TornLine(lines, sum(path.stat().st_size for path in files), tuple(path.name for path in files))


def _stem(line: int) -> str:
    return f"torn-{segment_name(line)}"


def _free_name(folder: Path, line: int) -> Path:
    path, number = folder / _stem(line), 1
    while path.exists():
        number += 1
        path = folder / f"{_stem(line)}.{number}"
    return path
