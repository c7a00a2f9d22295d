"""One segment of a journal's folder: its name, and its lines as they were written.

Decides how the files are named, and which of two forms of a segment counts: the plain one, because it is removed only
when the compressed one is known to be equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pgjit.audit.segments.line_blocks import line_blocks

__all__ = ["Segment", "list_segments", "segment_name"]

PLAIN = ".jsonl"
COMPRESSED = ".jsonl.zst"
_NAME = re.compile(r"(?P<first>[0-9]{20})(?P<form>\.jsonl|\.jsonl\.zst)")


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of consecutive lines. `first`: the index of its first line in the whole journal, from 0."""

    first: int
    path: Path
    compressed: bool
    open: bool
    """Whether it is the last one, and plain: more lines may follow in it."""

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.path.name

    def line_blocks(self) -> Iterator[list[bytes]]:
        """Its complete lines, without their newlines, in lists of about a MiB. Raises SegmentDamaged and OSError."""
        with self._opened() as (file, compressed):
            yield from line_blocks(file, name=self.name, compressed=compressed, unfinished=self.open)

    def lines(self) -> Iterator[bytes]:
        """Its complete lines, without their newlines. Raises SegmentDamaged and OSError."""
        for block in self.line_blocks():
            yield from block

    def _opened(self) -> _Opened:
        try:
            return _Opened(self.path.open("rb"), self.compressed)
        except FileNotFoundError:
            if self.compressed:
                raise
            # It was compressed after the folder was listed.
            return _Opened(self.path.with_name(segment_name(self.first) + COMPRESSED).open("rb"), True)


class _Opened:
    def __init__(self, file: BinaryIO, compressed: bool) -> None:
        self._file = file
        self._compressed = compressed

    def __enter__(self) -> tuple[BinaryIO, bool]:
        return self._file, self._compressed

    def __exit__(self, *_: object) -> None:
        self._file.close()


def segment_name(first: int) -> str:
    """The name of the segment that begins with line `first`, without the ending of its file."""
    return f"{first:020}"


def list_segments(folder: Path) -> tuple[Segment, ...]:
    """The segments of a folder, in order. Other files are ignored. Raises OSError."""
    forms: dict[int, Path] = {}
    for path in folder.iterdir():
        name = _NAME.fullmatch(path.name)
        if name is not None and (name["form"] == PLAIN or int(name["first"]) not in forms):
            forms[int(name["first"])] = path
    last = max(forms, default=-1)
    return tuple(
        Segment(first, path, compressed=(zst := path.name.endswith(COMPRESSED)), open=first == last and not zst)
        for first, path in sorted(forms.items())
    )
