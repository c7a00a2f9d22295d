"""Bytes to frames: type byte, Int32 length, body (PostgreSQL documentation, "Message Flow").

`FrameReader` gives whole frames: for the client's side, where every message is judged but the data of a COPY.
`StreamReader` is for the server's side: it gives control messages whole and only counts the data that flows between
them, so that a result costs one hop per row and no object. Neither knows what a message means.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from pgwire.errors import RemoteProtocolError

__all__ = ["CONTINUED", "BrokenStream", "ControlMessage", "Frame", "FrameReader", "StreamReader", "fitting"]

_HEADER = 5
_BEGINNING = _HEADER + 1024
_LENGTH = struct.Struct("!I").unpack_from


class Frame(NamedTuple):
    kind: int  # the type byte
    raw: bytes  # the whole frame, header included; of data, one message or several, the last perhaps in part
    missing: int = 0  # bytes of it that were dropped, because it is over the limit

    @property
    def body(self) -> bytes:
        return self.raw[_HEADER:]


CONTINUED = 0
"""The kind of a frame that goes on with a data message which the frames before it began."""

_MAX_DATA = (1 << 30) - 1  # PostgreSQL's own limit (PQ_LARGE_MESSAGE_LIMIT): larger data messages are not sent


class FrameReader:
    """Feed bytes in any pieces, get whole frames. A frame over its limit is refused before it is buffered.

    Of the kinds in `cut` such a frame is given all the same, but for its first 1029 bytes it is dropped as it comes:
    whoever reads it can refuse it in its place.

    Messages of the kinds in `data` (CopyData) are given as they come: a run of them in one frame, and what is
    missing of the last one in frames of kind `CONTINUED`. They are never held, so the limit is not theirs.
    """

    __slots__ = ("_buffer", "_cut", "_data", "_drop", "_limit", "_need", "_skip")

    def __init__(self, limit: Callable[[int], int], *, data: bytes = b"", cut: bytes = b"") -> None:
        self._limit = limit  # type byte -> most bytes that such a frame may have
        self._cut = frozenset(cut)
        self._drop = 0  # bytes still to come of a frame that was cut
        self._data = frozenset(data)
        self._buffer = bytearray()
        self._need = _HEADER
        self._skip = 0  # bytes still to come of a data message

    @property
    def pending(self) -> int:
        """Bytes held of a frame that is not whole yet."""
        return len(self._buffer)

    @property
    def inside_data(self) -> bool:
        """A data message was given in part."""
        return self._skip > 0

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
        if self._skip:
            at = min(self._skip, size)
            self._skip -= at
            frames.append(Frame(CONTINUED, data[:at]))
        elif self._drop:
            at = min(self._drop, size)
            self._drop -= at
        while size - at >= _HEADER:
            kind = data[at]
            if kind in self._data:
                start, at = at, self._run(data, at, kind)
                frames.append(Frame(kind, data[start:at]))
                continue
            length: int = _LENGTH(data, at + 1)[0]
            if not kind or length < 4:  # a kind of 0 is CONTINUED, and no message
                raise _impossible(kind, length)
            if length + 1 > self._limit(kind):
                if kind not in self._cut or length > _MAX_DATA:
                    raise _impossible(kind, length)
                if size - at < _BEGINNING:
                    self._need = _BEGINNING
                    break
                at = self._cut_short(frames, data, at, length + 1)
                continue
            end = at + 1 + length
            if end > size:
                self._need = end - at
                break
            frames.append(Frame(kind, data[at:end]))
            at = end
        if at < size:
            self._buffer += data[at:] if at else data
        return frames

    def _cut_short(self, frames: list[Frame], data: bytes, at: int, size: int) -> int:
        """Give the beginning of a frame of `size` bytes and drop the rest, as far as it is in `data`."""
        missing = size - _BEGINNING
        frames.append(Frame(data[at], data[at : at + _BEGINNING], missing))
        dropped = min(missing, len(data) - at - _BEGINNING)
        self._drop = missing - dropped
        return at + _BEGINNING + dropped

    def _run(self, data: bytes, at: int, kind: int) -> int:
        """Where the run of data messages ends that begins at `at`: at another message, or with `data`."""
        size = len(data)
        while size - at >= _HEADER and data[at] == kind:
            length: int = _LENGTH(data, at + 1)[0]
            if length < 4 or length > _MAX_DATA:
                raise _impossible(kind, length)
            at += 1 + length
            if at > size:
                self._skip = at - size
                return size
        return at


def _impossible(kind: int, length: int) -> RemoteProtocolError:
    return RemoteProtocolError(f"message of type {chr(kind)!a} with length {length}")


def fitting(chunk: bytes, start: int, end: int, rows: int, size: int) -> tuple[int, int]:
    """Of the data messages from `start` on: how many fit into `rows` and `size` bytes, and where the next begins.

    A last one that is not whole before `end` counts with all of its length; the next then begins behind `end`.
    """
    count, at = 0, start
    while at + _HEADER <= end and count < rows:
        length: int = 1 + _LENGTH(chunk, at + 1)[0]
        if length > size:
            break
        size -= length
        count += 1
        at += length
    return count, at


class ControlMessage(NamedTuple):
    """A control message inside a chunk, and the data that flowed before it."""

    kind: int  # type byte; 0 closes a chunk that ends in data
    start: int  # where the message begins and ends in the chunk
    end: int  # of an opaque one, perhaps before its own end
    rows: int  # data messages since the previous control message
    size: int  # their bytes


class BrokenStream(RemoteProtocolError):
    """What cannot be a message came; `chunk` and `controls` are the whole ones before it in the same piece."""

    def __init__(self, fault: RemoteProtocolError, chunk: bytes, controls: list[ControlMessage]) -> None:
        super().__init__(*fault.args)
        self.chunk, self.controls = chunk, controls


class StreamReader:
    """Feed what the server sent; get the bytes that may go on now, and the control messages in them.

    Messages of the kinds in `data` (DataRow, CopyData) are let through as they come, whole or not, and only
    counted. Those in `opaque` (FunctionCallResponse, notices) are told of when their header is there, and let
    through in the same way: they may be large, and nobody looks inside. All others are held until they are whole.
    """

    __slots__ = ("_counted", "_data", "_held", "_limit", "_need", "_opaque", "_skip", "lead")

    def __init__(self, *, data: bytes = b"Dd", opaque: bytes = b"VNA", limit: int) -> None:
        self._data = frozenset(data)
        self._opaque = frozenset(opaque)
        self._limit = limit  # of a control message: those are held in memory
        self._held = bytearray()
        self._need = _HEADER
        self._skip = 0  # bytes still to come of a message that was let through in part
        self._counted = True  # that message is data, and its bytes count as such
        self.lead = 0  # bytes at the beginning of the latest chunk that end a message of the one before

    @property
    def inside_message(self) -> bool:
        """A message was let through in part: nothing can be put in between now."""
        return self._skip > 0

    @property
    def missing(self) -> int:
        """Bytes still to come of the data message that the latest chunk ends within."""
        return self._skip if self._counted else 0

    def feed(self, data: bytes) -> tuple[bytes, list[ControlMessage]]:
        """The chunk that may go on, and its control messages in order. Raises BrokenStream, and is of no use then."""
        if self._held:
            self._held += data
            if len(self._held) < self._need:
                return b"", []
            data = bytes(self._held)
            self._held.clear()
        controls: list[ControlMessage] = []
        size = len(data)
        flowing = self._data
        rows = 0
        at = since = 0
        self._need = _HEADER
        if self._skip:
            at = min(self._skip, size)
            since = 0 if self._counted else at
            self._skip -= at
        self.lead = at
        while size - at >= _HEADER:
            kind = data[at]
            length: int = _LENGTH(data, at + 1)[0]
            end = at + 1 + length
            if kind in flowing and 4 <= length <= _MAX_DATA:
                rows += 1
                if end > size:
                    self._skip, self._counted = end - size, True
                    at = size
                    break
                at = end
                continue
            if kind in self._opaque and 4 <= length <= _MAX_DATA:
                if end > size:
                    self._skip, self._counted = end - size, False
                    end = size
            elif not kind or length < 4 or length > self._limit:  # a kind of 0 ends a chunk, and is no message
                if at > since:
                    controls.append(ControlMessage(0, at, at, rows, at - since))
                raise BrokenStream(_impossible(kind, length), data[:at], controls)
            elif end > size:
                self._need = end - at
                break
            controls.append(ControlMessage(kind, at, end, rows, at - since))
            rows = 0
            at = since = end
        if at > since:
            controls.append(ControlMessage(0, at, at, rows, at - since))
        if at < size:
            self._held += data[at:] if at else data
            data = data[:at]
        return data, controls
