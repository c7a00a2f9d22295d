"""Bytes to frames: type byte, Int32 length, body (PostgreSQL documentation, "Message Flow").

`FrameReader` gives whole frames: for the client's side, where every message is judged. `StreamReader` is for
the server's side: it gives control messages whole and only counts the data that flows between them, so that a
result costs one hop per row and no object. Neither knows what a message means.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from pgwire.errors import RemoteProtocolError

__all__ = ["Control", "Frame", "FrameReader", "StreamReader"]

_HEADER = 5
_LENGTH = struct.Struct("!I").unpack_from


class Frame(NamedTuple):
    kind: int  # the type byte
    raw: bytes  # the whole frame, header included

    @property
    def body(self) -> bytes:
        return self.raw[_HEADER:]


class FrameReader:
    """Feed bytes in any pieces, get whole frames. A frame over its limit is refused before it is buffered."""

    __slots__ = ("_buffer", "_limit", "_need")

    def __init__(self, limit: Callable[[int], int]) -> None:
        self._limit = limit  # type byte -> most bytes that such a frame may have
        self._buffer = bytearray()
        self._need = _HEADER

    @property
    def pending(self) -> int:
        """Bytes held of a frame that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that are whole now. Raises RemoteProtocolError."""
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        frames: list[Frame] = []
        at, size = 0, len(data)
        self._need = _HEADER
        while size - at >= _HEADER:
            kind = data[at]
            length: int = _LENGTH(data, at + 1)[0]
            if length < 4 or length + 1 > self._limit(kind):
                raise RemoteProtocolError(f"message of type {chr(kind)!a} with length {length}")
            end = at + 1 + length
            if end > size:
                self._need = end - at
                break
            frames.append(Frame(kind, data[at:end]))
            at = end
        if at < size:
            self._buffer += data[at:] if at else data
        return frames


class Control(NamedTuple):
    """A control message inside a chunk, and the data that flowed before it."""

    kind: int  # type byte; 0 closes a chunk that ends in data
    start: int  # where the message begins and ends in the chunk
    end: int
    rows: int  # DataRow and CopyData messages since the previous control message
    size: int  # their bytes


class StreamReader:
    """Feed what the server sent; get the bytes that may go on now, and the control messages in them.

    Messages of the kinds in `data` (DataRow, CopyData) are let through as they come, whole or not; all others
    are held until they are whole.
    """

    __slots__ = ("_data", "_held", "_limit", "_skip")

    def __init__(self, *, data: bytes = b"Dd", limit: int) -> None:
        self._data = frozenset(data)
        self._limit = limit  # of a control message: those are held in memory
        self._held = b""
        self._skip = 0  # bytes still to come of a data message that was let through in part

    def feed(self, data: bytes) -> tuple[bytes, list[Control]]:
        """The chunk that may go on, and its control messages in order. Raises RemoteProtocolError."""
        if self._held:
            data = self._held + data
            self._held = b""
        controls: list[Control] = []
        size = len(data)
        flowing = self._data
        rows = 0
        at = since = 0
        if self._skip:
            at = min(self._skip, size)
            self._skip -= at
        while size - at >= _HEADER:
            kind = data[at]
            length: int = _LENGTH(data, at + 1)[0]
            end = at + 1 + length
            if kind in flowing and length >= 4:
                rows += 1
                if end > size:
                    self._skip = end - size
                    at = size
                    break
                at = end
                continue
            if length < 4 or length > self._limit:
                raise RemoteProtocolError(f"message of type {chr(kind)!a} with length {length}")
            if end > size:
                break
            controls.append(Control(kind, at, end, rows, at - since))
            rows = 0
            at = since = end
        if at > since:
            controls.append(Control(0, at, at, rows, at - since))
        if at < size:
            self._held = data[at:]
            data = data[:at]
        return data, controls
