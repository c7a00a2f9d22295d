"""A cursor over one message body: fixed-size integers and zero-terminated strings, bounds checked.

Knows no message. Whatever does not fit raises RemoteProtocolError and nothing else.
"""

from __future__ import annotations

import struct

from pgwire.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["BodyReader", "cstring", "message"]

_INT16 = struct.Struct("!h")
_INT32 = struct.Struct("!i")
_UINT32 = struct.Struct("!I")


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

    def byte(self) -> int:
        return self.take(1)[0]

    def int16(self) -> int:
        return int(_INT16.unpack(self.take(2))[0])

    def count(self) -> int:
        """An Int16 that counts what follows: PostgreSQL reads it unsigned."""
        return self.int16() & 0xFFFF

    def int32(self) -> int:
        return int(_INT32.unpack(self.take(4))[0])

    def uint32(self) -> int:
        return int(_UINT32.unpack(self.take(4))[0])

    def string(self) -> bytes:
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise RemoteProtocolError("string without its zero terminator")
        piece = self._body[self._at : end]
        self._at = end + 1
        return piece

    @property
    def left(self) -> int:
        return len(self._body) - self._at

    def end(self) -> None:
        if self._at != len(self._body):
            raise RemoteProtocolError("message is longer than its contents say")


def cstring(text: bytes) -> bytes:
    """`text` with its zero terminator. Raises LocalProtocolError where it holds one already."""
    if b"\0" in text:
        raise LocalProtocolError("a string with a zero byte cannot be sent")
    return text + b"\0"


def message(kind: bytes, *parts: bytes) -> bytes:
    """One message: type byte, length of itself and the body, body."""
    body = b"".join(parts)
    return kind + _INT32.pack(len(body) + 4) + body
