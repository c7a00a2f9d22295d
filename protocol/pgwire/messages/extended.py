"""Extended query: Parse, Bind, Describe, Execute, Close."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pgwire.errors import RemoteProtocolError
from pgwire.reader import BodyReader, cstring, message

__all__ = [
    "Bind",
    "Execute",
    "Parse",
    "Target",
    "decode_bind",
    "decode_execute",
    "decode_parse",
    "decode_target",
    "encode_bind",
    "encode_execute",
    "encode_parse",
    "encode_target",
    "sync",
]


@dataclass(frozen=True, slots=True)
class Parse:
    name: bytes
    text: bytes
    types: tuple[int, ...]  # object ids of the parameters' types; 0 leaves it to the server


@dataclass(frozen=True, slots=True)
class Bind:
    portal: bytes
    name: bytes
    formats: tuple[int, ...]  # none: all text; one: for all; else one each
    values: tuple[bytes | None, ...]
    results: tuple[int, ...]

    def format_of(self, index: int) -> int:
        if not self.formats:
            return 0
        return self.formats[0] if len(self.formats) == 1 else self.formats[index]


@dataclass(frozen=True, slots=True)
class Execute:
    portal: bytes
    limit: int  # most rows to give; 0 is all


@dataclass(frozen=True, slots=True)
class Target:
    """What Describe and Close name: `S` a prepared statement, `P` a portal."""

    kind: str
    name: bytes


def decode_parse(body: bytes) -> Parse:
    reader = BodyReader(body)
    name, text = reader.string(), reader.string()
    types = tuple(reader.uint32() for _ in range(reader.count()))
    reader.end()
    return Parse(name, text, types)


def encode_parse(parse: Parse) -> bytes:
    types = struct.pack(f"!H{len(parse.types)}I", len(parse.types), *parse.types)
    return message(b"P", cstring(parse.name), cstring(parse.text), types)


def decode_bind(body: bytes) -> Bind:
    reader = BodyReader(body)
    portal, name = reader.string(), reader.string()
    formats = _formats(reader)
    values = tuple(_value(reader) for _ in range(reader.count()))
    results = _formats(reader)
    reader.end()
    if len(formats) > 1 and len(formats) != len(values):
        raise RemoteProtocolError("bind message with a wrong number of parameter formats")
    return Bind(portal, name, formats, values, results)


def _formats(reader: BodyReader) -> tuple[int, ...]:
    formats = tuple(reader.int16() for _ in range(reader.count()))
    if any(code not in (0, 1) for code in formats):
        raise RemoteProtocolError("format code that does not exist")
    return formats


def _value(reader: BodyReader) -> bytes | None:
    length = reader.int32()
    return None if length == -1 else reader.take(length)


def encode_bind(bind: Bind) -> bytes:
    null = struct.pack("!i", -1)
    values = b"".join(null if value is None else struct.pack("!i", len(value)) + value for value in bind.values)
    return message(
        b"B",
        cstring(bind.portal),
        cstring(bind.name),
        struct.pack(f"!H{len(bind.formats)}h", len(bind.formats), *bind.formats),
        struct.pack("!H", len(bind.values)),
        values,
        struct.pack(f"!H{len(bind.results)}h", len(bind.results), *bind.results),
    )


def decode_execute(body: bytes) -> Execute:
    reader = BodyReader(body)
    portal, limit = reader.string(), reader.int32()
    reader.end()
    return Execute(portal, limit)


def encode_execute(execute: Execute) -> bytes:
    return message(b"E", cstring(execute.portal), struct.pack("!i", execute.limit))


def decode_target(body: bytes) -> Target:
    reader = BodyReader(body)
    kind, name = chr(reader.byte()), reader.string()
    reader.end()
    if kind not in "SP":
        raise RemoteProtocolError("neither a prepared statement nor a portal is named")
    return Target(kind, name)


def encode_target(code: bytes, target: Target) -> bytes:
    """Describe (`code` b"D") or Close (b"C")."""
    return message(code, target.kind.encode(), cstring(target.name))


def sync() -> bytes:
    return message(b"S")
