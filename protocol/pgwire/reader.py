"""Reads and writes the parts of a message's body: integers, strings, counted lists, values.

Knows no message. Reading raises RemoteProtocolError and no other error. It takes a piece only if the bytes are there:
a count alone never allocates memory. Writing raises LocalProtocolError.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pgwire.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["BodyReader", "counted", "cstring", "formats", "message", "packed", "value", "values"]

_BYTE = struct.Struct("!B")
_INT16 = struct.Struct("!h")
_UINT16 = struct.Struct("!H")
_INT32 = struct.Struct("!i")
_UINT32 = struct.Struct("!I")
_LENGTH = _INT32.unpack_from
_NULL = b"\xff\xff\xff\xff"
_FORMATS = frozenset((0, 1))


class BodyReader:
    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes, at: int = 0) -> None:
        self._body = body
        self._at = at

    def take(self, count: int) -> bytes:
        end = self._at + count
        if count < 0 or end > len(self._body):
            raise RemoteProtocolError("message is shorter than its contents say")
        piece = self._body[self._at : end]
        self._at = end
        return piece

    def _number(self, layout: struct.Struct) -> int:
        try:
            number: int = layout.unpack_from(self._body, self._at)[0]
        except struct.error:
            raise RemoteProtocolError("message is shorter than its contents say") from None
        self._at += layout.size
        return number

    def byte(self) -> int:
        return self._number(_BYTE)

    def int16(self) -> int:
        return self._number(_INT16)

    def count(self) -> int:
        """An Int16 that counts the items that follow. PostgreSQL reads it as unsigned."""
        return self._number(_UINT16)

    def int32(self) -> int:
        return self._number(_INT32)

    def uint32(self) -> int:
        return self._number(_UINT32)

    def string(self) -> bytes:
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise RemoteProtocolError("string without its zero terminator")
        piece = self._body[self._at : end]
        self._at = end + 1
        return piece

    def int16s(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"!{count}h", self.take(2 * count))

    def uint32s(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"!{count}I", self.take(4 * count))

    def formats(self) -> tuple[int, ...]:
        """A counted list of format codes: 0 is text, 1 is binary; there are no others."""
        codes = self.int16s(self.count())
        if not _FORMATS.issuperset(codes):
            raise RemoteProtocolError("format code that does not exist")
        return codes

    def value(self) -> bytes | None:
        """An Int32 length and that many bytes; a length of -1 is NULL."""
        length = self.int32()
        return None if length == -1 else self.take(length)

    def values(self) -> tuple[bytes | None, ...]:
        """A counted list of values. In one loop, for speed: a catalog has ten thousand rows of them."""
        count = self.count()
        body, at, size = self._body, self._at, len(self._body)
        found: list[bytes | None] = []
        for _ in range(count):
            start = at + 4
            length = _LENGTH(body, at)[0] if start <= size else -2
            at = start if length == -1 else start + length
            if length < -1 or at > size:
                raise RemoteProtocolError("message is shorter than its contents say")
            found.append(None if length == -1 else body[start:at])
        self._at = at
        return tuple(found)

    def rest(self) -> bytes:
        return self.take(self.left)

    @property
    def left(self) -> int:
        return len(self._body) - self._at

    def end(self) -> None:
        if self._at != len(self._body):
            raise RemoteProtocolError("message is longer than its contents say")


def cstring(text: bytes) -> bytes:
    """`text` with a zero terminator. Raises LocalProtocolError if it holds a zero byte already."""
    if b"\0" in text:
        raise LocalProtocolError("a string with a zero byte cannot be sent")
    return text + b"\0"


def packed(layout: str, *numbers: int) -> bytes:
    """`numbers` in network byte order. Raises LocalProtocolError if one is out of range."""
    try:
        return struct.pack("!" + layout, *numbers)
    except struct.error as error:
        raise LocalProtocolError(f"a number that does not fit a message: {error}") from None


def counted(layout: str, numbers: Sequence[int]) -> bytes:
    """An Int16 count, and the numbers, each with the same `layout`."""
    return packed(f"H{len(numbers)}{layout}", len(numbers), *numbers)


def formats(codes: Sequence[int]) -> bytes:
    if not _FORMATS.issuperset(codes):
        raise LocalProtocolError("a format code is 0 or 1")
    return counted("h", codes)


def value(data: bytes | None) -> bytes:
    return _NULL if data is None else packed("i", len(data)) + data


def values(items: Sequence[bytes | None]) -> bytes:
    return packed("H", len(items)) + b"".join([value(item) for item in items])


def message(kind: bytes, *parts: bytes) -> bytes:
    """One message: type byte, Int32 length (its own four bytes included), body."""
    body = b"".join(parts)
    return kind + packed("i", len(body) + 4) + body
