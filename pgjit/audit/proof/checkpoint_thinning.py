"""Removes from `checkpoints.jsonl` what no verification needs any more: the file would grow with every interval.

Decides which stay: all of the last day; of the 90 days before that, the last of each hour; of older ones, the last of
each day. At any age: each at the end of a segment, the last one, the last that each witness signed, and every line
that is not a checkpoint, because it may be evidence. What goes bounds no line less exactly than an hour, or a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import orjson

from pgjit.audit.durable_file import replace_lines
from pgjit.audit.proof.checkpoint_log import CHECKPOINTS
from pgjit.audit.segments import list_segments

__all__ = ["thin_checkpoints"]

_ALL = timedelta(days=1)
_HOURLY = timedelta(days=90)


class _Line(NamedTuple):
    number: int
    content: bytes
    size: int  # -1: it is not a checkpoint
    period: str  # of which only the last stays
    signers: tuple[str, ...]


def thin_checkpoints(folder: Path, now: datetime) -> int:
    """Returns how many lines were removed. Nobody may write the file meanwhile. Blocks. Raises OSError."""
    path = folder / CHECKPOINTS
    if not path.exists():
        return 0
    ends = {segment.first for segment in list_segments(folder)}
    ends |= {int(kept.stem) for kept in folder.glob("*.subtrees") if kept.stem.isdecimal()}  # of removed ones, too
    stay, count, newest = set[int](), 0, dict[str, int]()
    before: _Line | None = None
    for line in _read(path, now):
        if before is not None and (before.period != line.period or before.size in ends or before.size < 0):
            stay.add(before.number)
        newest |= dict.fromkeys(line.signers, line.number)
        before, count = line, count + 1
    if before is not None:
        stay.add(before.number)
    stay.update(newest.values())
    if len(stay) < count:
        replace_lines(path, (line.content for line in _read(path, now) if line.number in stay))
    return count - len(stay)


def _read(path: Path, now: datetime) -> Iterator[_Line]:
    with path.open("rb") as file:
        for number, content in enumerate(file):
            try:
                row = orjson.loads(content)
                time, size, note = datetime.fromisoformat(row["time"]), int(row["size"]), str(row["checkpoint"])
                yield _Line(number, content, size, _period(time, now) or str(number), _signers(note))
            except (ValueError, TypeError, KeyError):
                yield _Line(number, content, -1, str(number), ())


def _period(time: datetime, now: datetime) -> str | None:
    age = now - time
    if age < _ALL:
        return None
    return f"{time:%Y-%m-%dT%H}" if age < _HOURLY else f"{time:%Y-%m-%d}"


def _signers(note: str) -> tuple[str, ...]:
    """The names of its signatures, the journal's own and those of witnesses."""
    return tuple(line.split(" ")[1] for line in note.rpartition("\n\n")[2].splitlines() if line.count(" ") == 2)
