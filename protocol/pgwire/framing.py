"""Bytes to frames: type byte, Int32 length, body (PostgreSQL documentation, "Message Flow").

`FrameReader` is for the client's stream, where every message is judged: it returns whole frames, but COPY data as it
comes. `StreamReader` is for the server's stream: it returns control messages whole and only counts the data between
them, so that a row costs one step and no object. Neither knows what a message means.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from pgwire.errors import RemoteProtocolError

__all__ = ["CONTINUED", "BrokenStream", "ControlMessage", "Frame", "FrameReader", "StreamReader", "fitting_messages"]

_HEADER = 5
_BEGINNING = _HEADER + 1024
_LENGTH = struct.Struct("!I").unpack_from


class Frame(NamedTuple):
    kind: int  # the type byte
    raw: bytes  # the whole frame with its header; for data, one or several messages, the last perhaps in part
    missing: int = 0  # bytes that were dropped, as the frame is over its limit

    @property
    def body(self) -> bytes:
        return self.raw[_HEADER:]


CONTINUED = 0
"""The kind of a frame that continues a data message of the frames before."""

_MAX_DATA = (1 << 30) - 1  # PostgreSQL's own limit (PQ_LARGE_MESSAGE_LIMIT): larger data messages are not sent


class FrameReader:
    """Feed bytes in any pieces, get whole frames. A frame over its limit is refused before it is buffered.

    A frame of a kind in `cut` that is over its limit is returned with its first 1029 bytes, when it has come to its
    end; the rest is dropped as it comes. So the caller can refuse it in its place in the stream.

    Messages of the kinds in `data` (CopyData) are returned as they come: a run of them in one frame, and the rest of
    the last one in frames of kind `CONTINUED`. They are never buffered, so they have no limit.
    """

    __slots__ = ("_beginning", "_buffer", "_cut", "_data", "_drop", "_limit", "_need", "_skip")

    def __init__(self, limit: Callable[[int], int], *, data: bytes = b"", cut: bytes = b"") -> None:
        self._limit = limit  # from the type byte to the most bytes of such a frame
        self._cut = frozenset(cut)
        self._drop = 0  # bytes still to come of a frame that is cut
        self._beginning: Frame | None = None  # what is returned of it when it has come to its end
        self._data = frozenset(data)
        self._buffer = bytearray()
        self._need = _HEADER
        self._skip = 0  # bytes still to come of a data message

    @property
    def pending(self) -> int:
        """The buffered bytes of a frame that is not complete."""
        return len(self._buffer)

    @property
    def inside_data(self) -> bool:
        """Whether a data message was returned in part."""
        return self._skip > 0

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that are complete now. Raises RemoteProtocolError."""
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
            self._return_beginning(frames)
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
        """Return the beginning of a frame of `size` bytes, and drop the rest that is in `data`."""
        missing = size - _BEGINNING
        self._beginning = Frame(data[at], data[at : at + _BEGINNING], missing)
        dropped = min(missing, len(data) - at - _BEGINNING)
        self._drop = missing - dropped
        self._return_beginning(frames)
        return at + _BEGINNING + dropped

    def _return_beginning(self, frames: list[Frame]) -> None:
        """Return the beginning of a cut frame when the frame has come to its end.

        No server answers before that. A driver that still writes would read the answer then, and wait for it later.
        """
        if not self._drop and self._beginning is not None:
            frames.append(self._beginning)
            self._beginning = None

    def _run(self, data: bytes, at: int, kind: int) -> int:
        """The end of the run of data messages that begins at `at`: the next other message, or the end of `data`."""
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


def fitting_messages(chunk: bytes, start: int, end: int, rows: int, size: int) -> tuple[int, int]:
    """How many data messages from `start` on fit into `rows` and `size` bytes, and where the next one begins.

    The last one may end after `end`: it counts with its full length, and the next one begins there.
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
    """A control message in a chunk, with the rows and bytes of data before it."""

    kind: int  # type byte; 0 closes a chunk that ends in data
    start: int  # where the message begins and ends in the chunk
    end: int  # for an opaque one, perhaps before its own end
    rows: int  # data messages since the previous control message
    size: int  # their bytes


class BrokenStream(RemoteProtocolError):
    """The server sent bytes that are no message. `chunk` and `controls` hold the complete messages before them."""

    def __init__(self, fault: RemoteProtocolError, chunk: bytes, controls: list[ControlMessage]) -> None:
        super().__init__(*fault.args)
        self.chunk, self.controls = chunk, controls


class StreamReader:
    """Feed the server's bytes; get the bytes that may be passed on now, and the control messages in them.

    Messages of the kinds in `data` (DataRow, CopyData) are passed on as they come, complete or not, and only counted.
    Those in `opaque` (FunctionCallResponse, notices) are reported when their header is there, and passed on in the
    same way: they may be large, and are not read. All others are buffered until they are complete.
    """

    __slots__ = ("_counted", "_data", "_held", "_limit", "_need", "_opaque", "_skip", "lead")

    def __init__(self, *, data: bytes = b"Dd", opaque: bytes = b"VNA", limit: int) -> None:
        self._data = frozenset(data)
        self._opaque = frozenset(opaque)
        self._limit = limit  # for a control message, which is buffered
        self._held = bytearray()
        self._need = _HEADER
        self._skip = 0  # bytes still to come of a message that was passed on in part
        self._counted = True  # whether that message is data
        self.lead = 0  # bytes at the beginning of the latest chunk that belong to a message of the chunk before

    @property
    def inside_message(self) -> bool:
        """Whether a message was passed on in part: no other bytes may be inserted now."""
        return self._skip > 0

    @property
    def missing(self) -> int:
        """Bytes still to come of the data message at the end of the latest chunk."""
        return self._skip if self._counted else 0

    def feed(self, data: bytes) -> tuple[bytes, list[ControlMessage]]:
        """The chunk to pass on, with its control messages in order. After BrokenStream the reader is unusable."""
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
