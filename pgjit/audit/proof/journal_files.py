"""The files of one journal in one or several places: its own folder, and those to which segments were copied.

Decides which copy of a segment is read. Does not read lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.checkpoint_log import CHECKPOINTS, NEWEST, checkpoints_in
from pgjit.audit.proof.note import NoteRejected
from pgjit.audit.proof.side_files import kept_subtrees, read_leaves, read_subtrees
from pgjit.audit.proof.tree import Subtree
from pgjit.audit.segments import Segment
from pgjit.audit.segments.journal_place import JournalPlace, content_at, origin_at, segments_at

__all__ = ["JournalFiles"]

T = TypeVar("T")


class JournalFiles:
    """`folders`: of a segment that is in several, the copy in the first of them counts."""

    def __init__(self, folders: Sequence[JournalPlace]) -> None:
        self.folders = tuple(folders)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """As they were when this was first read. Raises OSError."""
        copies: dict[int, Segment] = {}
        for folder in self.folders:
            for segment in segments_at(folder):
                copies.setdefault(segment.first, segment)
        last = max(copies, default=-1)
        return tuple(
            replace(segment, open=first == last and not segment.compressed)
            for first, segment in sorted(copies.items())
        )

    @property
    def origin(self) -> str | None:
        """None if no folder has the file. Raises OSError."""
        return next((origin for folder in self.folders if (origin := origin_at(folder)) is not None), None)

    def checkpoints(self) -> Iterator[tuple[str, SignedCheckpoint | NoteRejected]]:
        """All that are kept beside the segments, each with its place. Raises OSError."""
        for folder in self.folders:
            for name in (CHECKPOINTS, NEWEST):
                if (content := content_at(folder, name)) is not None:
                    yield from checkpoints_in(f"{folder}/{name}", content)

    def leaves(self, first: int) -> list[bytes]:
        """The hashes that were kept of a segment's lines; empty if there are none. Raises OSError."""
        return self._first_kept(lambda folder: read_leaves(folder, first))

    def subtrees(self, first: int) -> list[Subtree]:
        """Those that were kept of a closed segment; empty if there are none. Raises OSError."""
        return self._first_kept(lambda folder: read_subtrees(folder, first))

    def removed(self, start: int, end: int) -> list[Subtree]:
        """The subtrees of removed segments; empty if they were not kept. Raises OSError."""
        return self._first_kept(lambda folder: kept_subtrees(folder, start, end))

    def _first_kept(self, read: Callable[[JournalPlace], list[T]]) -> list[T]:
        return next((kept for folder in self.folders if (kept := read(folder))), [])
