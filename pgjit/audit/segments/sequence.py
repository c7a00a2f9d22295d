"""Several segments as one sequence of lines. Decides that a segment's name must be the number of lines before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pgjit.audit.segments.damage import SegmentDamaged
from pgjit.audit.segments.segment import Segment

__all__ = ["lines_of"]


def lines_of(segments: Sequence[Segment], start: int | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Blocks of lines, each with the index of its first line, from index `start` on; None: from the first segment.

    A segment that begins before or after the end of the one before it raises SegmentDamaged, named by the segment
    that has too many or too few lines; so does a `start` that is before the first segment. Raises OSError.
    """
    if start is not None:
        if segments and start < segments[0].first:
            raise SegmentDamaged(segments[0].name, 0, f"the journal begins with it, and line {start} is before it")
        while len(segments) > 1 and segments[1].first <= start:
            segments = segments[1:]
    expected: int | None = None
    before: Segment | None = None
    for segment in segments:
        if before is not None and expected != segment.first:
            has, needs = (expected or 0) - before.first, segment.first - before.first
            raise SegmentDamaged(before.name, has, f"it has {has} lines, and {needs} to the next segment")
        index = segment.first
        for block in segment.line_blocks():
            skipped = 0 if start is None else max(0, min(len(block), start - index))
            if skipped < len(block):
                yield index + skipped, block[skipped:] if skipped else block
            index += len(block)
        expected, before = index, segment
