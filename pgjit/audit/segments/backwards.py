"""The lines of a closed segment, the last first, with bounded memory.

A compressed file can only be read forwards: it is read once for each 32 MiB of its content, and each time the last
lines that were not returned yet are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pgjit.audit.segments.segment import Segment

__all__ = ["lines_backwards"]

_KEPT_BYTES = 32 << 20


def lines_backwards(segment: Segment, kept_bytes: int = _KEPT_BYTES) -> Iterator[bytes]:
    """The lines of a segment, without their newlines, the last first. Raises SegmentDamaged and OSError."""
    end: int | None = None
    while end != 0:
        kept: deque[list[bytes]] = deque()
        sizes: deque[int] = deque()
        count = 0
        for block in segment.line_blocks():
            lines = block if end is None else block[: end - count]
            if not lines:
                break
            count += len(lines)
            kept.append(lines)
            sizes.append(sum(map(len, lines)))
            while len(kept) > 1 and sum(sizes) > kept_bytes:
                kept.popleft()
                sizes.popleft()
        end = count - sum(map(len, kept))
        while kept:
            yield from reversed(kept.pop())
