"""How many of the client's messages are judged and recorded together. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pgwire.framing import Frame

__all__ = ["next_batch"]

_AT_ONCE = 32
_BYTES_AT_ONCE = 32 * 1024
"""How many messages are judged and recorded together. A few bytes may run, and so record, a long statement."""


def next_batch(frames: Sequence[Frame], at: int) -> Sequence[Frame]:
    """The frames that are judged before the other sessions get their turn."""
    size, end = 0, at
    while end < len(frames) and end - at < _AT_ONCE and size < _BYTES_AT_ONCE:
        size += len(frames[end].raw)
        end += 1
    return frames[at:end]
