"""Which closed segments are older than the journal keeps.

Decides by the time of the record that follows a segment, so only whole segments are dropped, the oldest first, and
none that has a younger record. A segment whose lines the proof still needs stays, and so does one without its copy.
One whose records the collector does not have stays for a while longer, not for ever: it must not fill the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import orjson

from pgjit.audit.results.result_files import results_between
from pgjit.audit.segments import Segment, segment_name

__all__ = ["Expired", "Export", "expired", "held", "remove"]


@dataclass(frozen=True, slots=True)
class Expired:
    segment: Segment
    lines: int
    until: datetime
    archived: str | None
    unsent: int = 0
    """How many of its lines the collector does not have."""


@dataclass(frozen=True, slots=True)
class Export:
    """How far the journal was sent to a collector."""

    index: int
    """The index of the next line to send."""
    wait_until: datetime
    """What is older is removed although it was not sent."""


def expired(
    segments: Sequence[Segment],
    cutoff: datetime,
    place_of: Callable[[Segment], str | None] | None,
    export: Export | None = None,
) -> Iterator[Expired]:
    """Those before `cutoff` that may be removed. `place_of`: where the archive has its copy; None without an archive.

    `export`: None if no collector gets the records. Raises OSError and ValueError.
    """
    for segment, after in pairwise(segments):
        until = _first_time(after)
        if until is None or until > cutoff or not _proved(segment):
            return
        unsent = 0 if export is None else max(0, after.first - max(segment.first, export.index))
        if export is not None and unsent and until > export.wait_until:
            return
        place = None if place_of is None else place_of(segment)
        if place_of is not None and place is None:
            return
        yield Expired(segment, after.first - segment.first, until, place, unsent)


def held(segments: Sequence[Segment], cutoff: datetime, export: Export) -> int:
    """How many segments before `cutoff` have records that the collector does not have. Raises OSError, ValueError."""
    count = 0
    for _, after in pairwise(segments):
        until = _first_time(after)
        if until is None or until > cutoff:
            break
        count += after.first > export.index
    return count


def remove(due: Expired) -> None:
    """Remove its file, its results, and the hashes of its lines. The roots of its subtrees stay. Raises OSError."""
    segment = due.segment
    for path in results_between(segment.path.parent, segment.first, segment.first + due.lines):
        path.unlink(missing_ok=True)
    segment.path.unlink(missing_ok=True)
    segment.path.with_name(f"{segment_name(segment.first)}.leaves").unlink(missing_ok=True)


def _proved(segment: Segment) -> bool:
    """Whether what is kept of it is enough to prove the lines after it: always, in a journal without checkpoints."""
    folder: Path = segment.path.parent
    has_checkpoints = (folder / "checkpoint").exists()
    return not has_checkpoints or (folder / f"{segment_name(segment.first)}.subtrees").exists()


def _first_time(segment: Segment) -> datetime | None:
    line = next(segment.lines(), None)
    return None if line is None else datetime.fromisoformat(orjson.loads(line)["time"])
