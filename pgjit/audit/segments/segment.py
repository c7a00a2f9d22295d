"""One segment of a journal's folder: its name, and its lines as they were written.

Decides how the files are named, and which of two forms of a segment counts: the plain one, because it is removed only
when the compressed one is known to be equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pgjit.audit.segments.line_blocks import line_blocks

__all__ = ["Segment", "list_segments", "named_segments", "segment_name"]

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

    @property
    def size(self) -> int:
        """The bytes of its file. Raises OSError."""
        return self.path.stat().st_size

    @property
    def version(self) -> str:
        """Another text after any change of its file: who edits it can set its other time back. Raises OSError."""
        state = self.path.stat()
        return f"{self.path.resolve()}\n{state.st_size}\n{state.st_mtime_ns}\n{state.st_ctime_ns}"

    @contextmanager
    def at_hand(self) -> Iterator[Path]:
        """Its file on this machine, under its name. Raises OSError."""
        yield self.path

    def line_blocks(self) -> Iterator[list[bytes]]:
        """Its complete lines, without their newlines, in lists of about a MiB. Raises SegmentDamaged and OSError."""
        file, compressed = self.opened()
        with file:
            yield from line_blocks(file, name=self.name, compressed=compressed, unfinished=self.open)

    def lines(self) -> Iterator[bytes]:
        """Its complete lines, without their newlines. Raises SegmentDamaged and OSError."""
        for block in self.line_blocks():
            yield from block

    def opened(self) -> tuple[BinaryIO, bool]:
        """Its file, and whether that is compressed. Raises OSError."""
        try:
            return self.path.open("rb"), self.compressed
        except FileNotFoundError:
            if self.compressed:
                raise
            # It was compressed after the folder was listed.
            return self.path.with_name(segment_name(self.first) + COMPRESSED).open("rb"), True


def segment_name(first: int) -> str:
    """The name of the segment that begins with line `first`, without the ending of its file."""
    return f"{first:020}"


def list_segments(folder: Path) -> tuple[Segment, ...]:
    """The segments of a folder, in order. Other files are ignored. Raises OSError."""
    return named_segments(folder.iterdir())


def named_segments(paths: Iterable[Path]) -> tuple[Segment, ...]:
    """Those of `paths` that are segments by their names, in order."""
    forms: dict[int, Path] = {}
    for path in paths:
        name = _NAME.fullmatch(path.name)
        if name is not None and (name["form"] == PLAIN or int(name["first"]) not in forms):
            forms[int(name["first"])] = path
    last = max(forms, default=-1)
    return tuple(
        Segment(first, path, compressed=(zst := path.name.endswith(COMPRESSED)), open=first == last and not zst)
        for first, path in sorted(forms.items())
    )
