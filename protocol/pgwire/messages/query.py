"""The simple query protocol, and messages that the server may send at any time. Rows are in `results`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pgwire.errors import RemoteProtocolError
from pgwire.reader import BodyReader, cstring, message, packed

__all__ = [
    "Notification",
    "command_complete",
    "decode_command_complete",
    "decode_empty",
    "decode_error",
    "decode_notification",
    "decode_parameter_status",
    "decode_query",
    "decode_ready",
    "empty_query_response",
    "encode_notification",
    "encode_query",
    "error_response",
    "parameter_status",
    "ready_for_query",
    "terminate",
]


@dataclass(frozen=True, slots=True)
class Notification:
    pid: int  # of the backend that notified
    channel: bytes
    payload: bytes


def encode_query(text: bytes) -> bytes:
    return message(b"Q", cstring(text))


def decode_query(body: bytes) -> bytes:
    """The text of a Query, without its final zero byte. Raises RemoteProtocolError if it holds another one."""
    if not body or body.find(b"\0") != len(body) - 1:
        raise RemoteProtocolError("query text must hold one zero byte, at its end")
    return body[:-1]


def error_response(fields: Mapping[str, str], *, notice: bool = False) -> bytes:
    """ErrorResponse (or NoticeResponse). A zero byte in a value is dropped: it would end the field."""
    parts = [
        code.encode("latin-1") + value.encode("utf-8", "replace").replace(b"\0", b"") + b"\0"
        for code, value in fields.items()
    ]
    return message(b"N" if notice else b"E", *parts, b"\0")


def decode_error(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse by their code letters. Raises RemoteProtocolError."""
    reader = BodyReader(body)
    fields: dict[str, str] = {}
    while field := reader.string():
        fields[chr(field[0])] = field[1:].decode("utf-8", "replace")
    reader.end()
    return fields


def command_complete(tag: str) -> bytes:
    return message(b"C", cstring(tag.encode()))


def decode_command_complete(body: bytes) -> str:
    if not body or body.find(b"\0") != len(body) - 1:
        raise RemoteProtocolError("command tag must hold one zero byte, at its end")
    return body[:-1].decode("utf-8", "replace")


def ready_for_query(status: bytes) -> bytes:
    return message(b"Z", status)


def decode_ready(body: bytes) -> str:
    """`I` idle, `T` in a transaction, `E` in a failed one. Raises RemoteProtocolError."""
    if body not in (b"I", b"T", b"E"):
        raise RemoteProtocolError("transaction status that does not exist")
    return body.decode()


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", cstring(name.encode()), cstring(value.encode()))


def decode_parameter_status(body: bytes) -> tuple[str, str]:
    reader = BodyReader(body)
    name, value = reader.string(), reader.string()
    reader.end()
    # Each session keeps them, and they are the same in most: one text is enough for all.
    return sys.intern(name.decode("utf-8", "replace")), sys.intern(value.decode("utf-8", "replace"))


def decode_notification(body: bytes) -> Notification:
    reader = BodyReader(body)
    found = Notification(reader.int32(), reader.string(), reader.string())
    reader.end()
    return found


def encode_notification(notification: Notification) -> bytes:
    names = cstring(notification.channel), cstring(notification.payload)
    return message(b"A", packed("i", notification.pid), *names)


def empty_query_response() -> bytes:
    return message(b"I")


def decode_empty(body: bytes) -> None:
    """The body of a message that is its type alone: Sync, Flush, ParseComplete ... Raises RemoteProtocolError."""
    BodyReader(body).end()


def terminate() -> bytes:
    return message(b"X")
