"""The extended query protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync, and their responses."""

from __future__ import annotations

from dataclasses import dataclass

from pgwire.errors import RemoteProtocolError
from pgwire.reader import BodyReader, counted, cstring, formats, message, packed, values

__all__ = [
    "Bind",
    "DescribeTarget",
    "Execute",
    "Parse",
    "bind_complete",
    "close_complete",
    "decode_bind",
    "decode_execute",
    "decode_parse",
    "decode_target",
    "encode_bind",
    "encode_execute",
    "encode_parse",
    "encode_target",
    "flush",
    "no_data",
    "parse_complete",
    "portal_suspended",
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


@dataclass(frozen=True, slots=True)
class Execute:
    portal: bytes
    limit: int  # most rows to give; 0 is all


@dataclass(frozen=True, slots=True)
class DescribeTarget:
    """What Describe and Close name: `S` a prepared statement, `P` a portal."""

    kind: str
    name: bytes


def decode_parse(body: bytes) -> Parse:
    reader = BodyReader(body)
    name, text = reader.string(), reader.string()
    types = reader.uint32s(reader.count())
    reader.end()
    return Parse(name, text, types)


def encode_parse(parse: Parse) -> bytes:
    return message(b"P", cstring(parse.name), cstring(parse.text), counted("I", parse.types))


def decode_bind(body: bytes) -> Bind:
    reader = BodyReader(body)
    portal, name = reader.string(), reader.string()
    codes, given, results = reader.formats(), reader.values(), reader.formats()
    reader.end()
    if len(codes) > 1 and len(codes) != len(given):
        raise RemoteProtocolError("bind message with a wrong number of parameter formats")
    return Bind(portal, name, codes, given, results)


def encode_bind(bind: Bind) -> bytes:
    names = cstring(bind.portal), cstring(bind.name)
    return message(b"B", *names, formats(bind.formats), values(bind.values), formats(bind.results))


def decode_execute(body: bytes) -> Execute:
    reader = BodyReader(body)
    portal, limit = reader.string(), reader.int32()
    reader.end()
    return Execute(portal, limit)


def encode_execute(execute: Execute) -> bytes:
    return message(b"E", cstring(execute.portal), packed("i", execute.limit))


def decode_target(body: bytes) -> DescribeTarget:
    reader = BodyReader(body)
    kind, name = chr(reader.byte()), reader.string()
    reader.end()
    if kind not in "SP":
        raise RemoteProtocolError("neither a prepared statement nor a portal is named")
    return DescribeTarget(kind, name)


def encode_target(code: bytes, target: DescribeTarget) -> bytes:
    """Describe (`code` b"D") or Close (b"C")."""
    return message(code, target.kind.encode(), cstring(target.name))


def sync() -> bytes:
    return message(b"S")


def flush() -> bytes:
    return message(b"H")


def parse_complete() -> bytes:
    return message(b"1")


def bind_complete() -> bytes:
    return message(b"2")


def close_complete() -> bytes:
    return message(b"3")


def no_data() -> bytes:
    return message(b"n")


def portal_suspended() -> bytes:
    return message(b"s")
