"""Bytes to frames: type byte, Int32 length, body (PostgreSQL documentation, "Message Flow").

`FrameReader` is for the client's stream, where every message is judged: it returns whole frames, but COPY data as it
comes. `StreamReader` is for the server's stream: it returns control messages whole and only counts the data between
them, so that a row costs one step and no object. Neither knows what a message means.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from pgwire.errors import RemoteProtocolError

__all__ = ["CONTINUED", "BrokenStream", "ControlMessage", "Frame", "FrameReader", "StreamReader", "fitting_messages"]

_HEADER = 5
_BEGINNING = _HEADER + 1024
_LENGTH = struct.Struct("!I").unpack_from
_KIND_AND_LENGTH = struct.Struct("!BI").unpack_from


class Frame(NamedTuple):
    kind: int  # the type byte
    raw: bytes  # the whole frame with its header; for data, one or several messages, the last perhaps in part
    missing: int = 0  # bytes that were dropped, as the frame is over its limit

    @property
    def body(self) -> bytes:
        return self.raw[_HEADER:]


_new_frame = tuple.__new__  # a third of what `Frame()` costs, which is a function of Python for its default

CONTINUED = 0
"""The kind of a frame that continues a data message of the frames before."""

_MAX_DATA = (1 << 30) - 1  # PostgreSQL's own limit (PQ_LARGE_MESSAGE_LIMIT): larger data messages are not sent


@lru_cache
def _classes(first: bytes, second: bytes) -> bytes:
    """The class of each type byte: 1 for those in `first`, 2 for those in `second`, else 0. Readers share it."""
    return bytes(1 if kind in first else 2 if kind in second else 0 for kind in range(256))


_WHOLE, _IN_PARTS, _CUT_SHORT = range(3)
"""The classes of the client's messages, see `FrameReader`."""


class FrameReader:
    """Feed bytes in any pieces, get whole frames. A frame over its limit is refused before it is buffered.

    A frame of a kind in `cut` that is over its limit is returned with its first 1029 bytes, when it has come to its
    end; the rest is dropped as it comes. So the caller can refuse it in its place in the stream.

    Messages of the kinds in `data` (CopyData) are returned as they come: a run of them in one frame, and the rest of
    the last one in frames of kind `CONTINUED`. They are never buffered, so they have no limit.
    """

    __slots__ = (
        "_beginning",
        "_buffer",
        "_classes",
        "_drop",
        "_end",
        "_end_frames",
        "_limit",
        "_need",
        "_skip",
        "_small",
    )

    def __init__(
        self,
        limit: Callable[[int], int],
        *,
        data: bytes = b"",
        cut: bytes = b"",
        small: int = _HEADER,
        usual_end: tuple[Frame, ...] = (),
    ) -> None:
        """`limit`: from the type byte to the most bytes of such a frame; for all types it is `small` or more.

        `usual_end`: small frames, not of data, with which many pieces end: they are known by their bytes, unsplit.
        """
        self._limit = limit
        self._end_frames = usual_end
        self._end = b"".join([frame.raw for frame in usual_end])
        self._small = small
        self._classes = _classes(data, cut)
        self._drop = 0  # bytes still to come of a frame that is cut
        self._beginning: Frame | None = None  # what is returned of it when it has come to its end
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
            if len(self._buffer) + len(data) < self._need:
                self._buffer += data
                return []
            data = b"".join((self._buffer, data))
            self._buffer.clear()
        frames: list[Frame] = []
        at, size = 0, len(data)
        self._need = _HEADER
        usual_end = size
        if self._end and data.endswith(self._end):
            usual_end -= len(self._end)
        elif size >= _HEADER and not self._skip and not self._drop:
            kind, length = _KIND_AND_LENGTH(data, 0)
            if 4 <= length < self._small and length + 1 == size and kind and self._classes[kind] != _IN_PARTS:
                return [_new_frame(Frame, (kind, data, 0))]  # one frame, as a Query mostly comes
        if self._skip:
            at = min(self._skip, len(data))
            self._skip -= at
            frames.append(Frame(CONTINUED, data[:at]))
        elif self._drop:
            at = min(self._drop, len(data))
            self._drop -= at
            self._return_beginning(frames)
        at = self._split(frames, data, at, usual_end)
        if at < size:
            self._buffer += data[at:] if at else data
        return frames

    def _split(self, frames: list[Frame], data: bytes, at: int, usual_end: int) -> int:
        """Append the frames from `at` on, those at `usual_end` unsplit. Returns where they end."""
        classes, small, size = self._classes, self._small, len(data)
        while size - at >= _HEADER:
            if at == usual_end:
                frames += self._end_frames
                return size
            kind, length = _KIND_AND_LENGTH(data, at)
            if classes[kind] == _IN_PARTS:
                start, at = at, self._run(data, at, kind)
                frames.append(Frame(kind, data[start:at]))
                continue
            if not kind or length < 4:  # a kind of 0 is CONTINUED, and no message
                raise _impossible(kind, length)
            if length >= small and length >= self._limit(kind):
                if classes[kind] != _CUT_SHORT or length > _MAX_DATA:
                    raise _impossible(kind, length)
                if size - at < _BEGINNING:
                    self._need = _BEGINNING
                    break
                at = self._cut_short(frames, data, at, length + 1)
                continue
            end: int = at + 1 + length
            if end > size:
                self._need = end - at
                break
            frames.append(_new_frame(Frame, (kind, data[at:end], 0)))
            at = end
        return at

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


ControlMessage = tuple[int, int, int, int, int]
"""A control message in a chunk: its type, start and end; then the data messages and the bytes of data before it.

A type of 0 closes a chunk that ends in data. If an opaque message goes on behind the chunk, `end` is the chunk's end.
It is a plain tuple, for every answer of the server comes to three or four of them.
"""


class BrokenStream(RemoteProtocolError):
    """The server sent bytes that are no message. `chunk` and `controls` hold the complete messages before them."""

    def __init__(self, fault: RemoteProtocolError, chunk: bytes, controls: list[ControlMessage]) -> None:
        super().__init__(*fault.args)
        self.chunk, self.controls = chunk, controls


_HELD, _FLOWING, _OPAQUE = range(3)
"""The classes of the server's messages, see `StreamReader`."""


class StreamReader:
    """Feed the server's bytes; get the bytes that may be passed on now, and the control messages in them.

    Messages of the kinds in `data` (DataRow, CopyData) are passed on as they come, complete or not, and only counted.
    Those in `opaque` (FunctionCallResponse, notices) are reported when their header is there, and passed on in the
    same way: they may be large, and are not read. All others are buffered until they are complete.
    """

    __slots__ = ("_classes", "_counted", "_held", "_limit", "_need", "_skip", "lead")

    def __init__(self, *, data: bytes = b"Dd", opaque: bytes = b"VNA", limit: int) -> None:
        self._classes = _classes(data, opaque)
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
    def between_messages(self) -> bool:
        """Whether the next byte begins a message."""
        return not self._skip and not self._held

    @property
    def missing(self) -> int:
        """Bytes still to come of the data message at the end of the latest chunk."""
        return self._skip if self._counted else 0

    def feed(self, data: bytes) -> tuple[bytes, list[ControlMessage]]:
        """The chunk to pass on, with its control messages in order. After BrokenStream the reader is unusable.

        The chunk is `data` itself where nothing is held back: no byte is copied.
        """
        if self._held:
            if len(self._held) + len(data) < self._need:
                self._held += data
                return b"", []
            data = b"".join((self._held, data))
            self._held.clear()
        at = since = self.lead = 0
        if self._skip:
            at = self.lead = min(self._skip, len(data))
            since = 0 if self._counted else at
            self._skip -= at
        at, controls = self._split(data, at, since)
        if at < len(data):
            self._held += data[at:] if at else data
            data = data[:at]
        return data, controls

    def _split(self, data: bytes, at: int, since: int) -> tuple[int, list[ControlMessage]]:
        """The control messages from `at` on, and where the bytes end that may be passed on.

        Data that is counted begins at `since`.
        """
        controls: list[ControlMessage] = []
        classes, limit, size, rows = self._classes, self._limit, len(data), 0
        self._need = _HEADER
        last = size - _HEADER
        while at <= last:
            kind, length = _KIND_AND_LENGTH(data, at)
            end: int = at + 1 + length
            its_class = classes[kind]
            if its_class == _HELD:
                if length < 4 or length > limit or not kind:  # a kind of 0 ends a chunk, and is no message
                    raise _broken(data, at, since, rows, controls)
                if end > size:
                    self._need = end - at
                    break
            elif length < 4 or length > _MAX_DATA:
                raise _broken(data, at, since, rows, controls)
            else:
                if end > size:
                    self._skip, self._counted, end = end - size, its_class == _FLOWING, size
                if its_class == _FLOWING:
                    rows += 1
                    at = end
                    continue
            controls.append((kind, at, end, rows, at - since))
            rows = 0
            at = since = end
        if at > since:
            controls.append((0, at, at, rows, at - since))
        return at, controls


def _broken(data: bytes, at: int, since: int, rows: int, controls: list[ControlMessage]) -> BrokenStream:
    """What is at `at` is no message."""
    if at > since:
        controls.append((0, at, at, rows, at - since))
    return BrokenStream(_impossible(*_KIND_AND_LENGTH(data, at)), data[:at], controls)
