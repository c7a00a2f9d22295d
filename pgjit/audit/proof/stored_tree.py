"""The tree of a journal in its folder, read with as little work as possible.

A closed segment whose subtrees are kept is not read, unless a line or a size within it is wanted by itself. So the
result is not evidence: it has to have the root that was signed. `verification.py` reads every line instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.tree import Subtree, join, leaf_hash, subtrees_of
from pgjit.audit.segments import Segment, SegmentDamaged

__all__ = ["StoredTree"]


class StoredTree:
    """Every method blocks while it reads."""

    def __init__(self, files: JournalFiles, *, use_kept: bool = True) -> None:
        """`use_kept`: whether kept subtrees are used instead of the lines, where there are lines."""
        self._files = files
        self._use_kept = use_kept

    @property
    def segments(self) -> tuple[Segment, ...]:
        return self._files.segments

    def subtrees(self, end: int | None = None, apart: int | None = None) -> list[Subtree]:
        """Those of `[0, end)`; None: of all lines. The leaves of the segment with line `apart` are apart.

        Shorter than `end` if there are fewer lines. Raises OSError and SegmentDamaged; also where segments are
        missing and their subtrees are not kept.
        """
        subtrees: list[Subtree] = []
        for part in self._parts(end, apart):
            subtrees += part
        return join([], subtrees) if apart is None else subtrees

    def kept(self, segment: Segment, following: int) -> list[Subtree]:
        """The kept subtrees of a closed segment; empty if they are missing or do not fit. Raises OSError."""
        kept = self._files.subtrees(segment.first)
        return kept if self._use_kept and kept and kept[-1].end == following else []

    def leaves(self, segment: Segment, end: int | None = None) -> Iterator[list[bytes]]:
        """The hashes of a segment's lines before index `end`, read from the lines, in blocks."""
        index = segment.first
        for block in segment.line_blocks():
            lines = block if end is None else block[: max(0, end - index)]
            if not lines:
                return
            yield list(map(leaf_hash, lines))
            index += len(lines)

    def _parts(self, end: int | None, apart: int | None) -> Iterable[list[Subtree]]:
        position = 0
        for number, segment in enumerate(self.segments):
            if end is not None and segment.first >= end:
                return
            if segment.first != position:
                yield self._removed(position, segment)
            following = self.segments[number + 1].first if number + 1 < len(self.segments) else None
            part = self._of_segment(segment, following, end, apart)
            position = part[-1].end if part else segment.first
            yield part

    def _removed(self, position: int, segment: Segment) -> list[Subtree]:
        kept = self._files.removed(position, segment.first)
        if not kept:
            why = f"the lines {position} to {segment.first - 1} before it are missing, and so are their hashes"
            raise SegmentDamaged(segment.name, 0, why)
        return kept

    def _of_segment(
        self, segment: Segment, following: int | None, end: int | None, apart: int | None
    ) -> list[Subtree]:
        wanted = apart is not None and segment.first <= apart and (following is None or apart < following)
        whole = following is not None and (end is None or following <= end)
        if following is not None and whole and not wanted and (kept := self.kept(segment, following)):
            return kept
        subtrees: list[Subtree] = []
        position = segment.first
        for hashes in self.leaves(segment, end):
            if wanted:
                subtrees += [Subtree(index, 0, digest) for index, digest in enumerate(hashes, position)]
            else:
                subtrees = join(subtrees, subtrees_of(position, hashes))
            position += len(hashes)
        if following is not None and position < following and (end is None or position < end):
            why = f"it has {position - segment.first} lines, and {following - segment.first} to the next segment"
            raise SegmentDamaged(segment.name, position - segment.first, why)
        return subtrees
