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
    if at or len(frames) > _AT_ONCE:
        frames = frames[at : at + _AT_ONCE]
    if len(frames) == 1 or sum([len(frame[1]) for frame in frames]) < _BYTES_AT_ONCE:
        return frames
    size = 0
    for end, frame in enumerate(frames):
        if size >= _BYTES_AT_ONCE:
            return frames[:end]
        size += len(frame.raw)
    return frames
