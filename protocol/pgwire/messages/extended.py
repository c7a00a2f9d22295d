"""The extended query protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync, and their responses."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

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


_LENGTH = Struct("!i").unpack_from
_new = tuple.__new__  # a third of what `Bind()` costs
_ONE_FORMAT: dict[bytes, tuple[int, ...]] = {b"\0\1\0\0": (0,), b"\0\1\0\1": (1,)}


class Parse(NamedTuple):
    name: bytes
    text: bytes
    types: tuple[int, ...]  # object ids of the parameters' types; 0 leaves it to the server


class Bind(NamedTuple):
    portal: bytes
    name: bytes
    formats: tuple[int, ...]  # none: all text; one: for all; else one each
    values: tuple[bytes | None, ...]
    results: tuple[int, ...]


class Execute(NamedTuple):
    portal: bytes
    limit: int  # most rows to give; 0 is all


class DescribeTarget(NamedTuple):
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
    return _usual_bind(body) or _any_bind(body)


def _usual_bind(body: bytes) -> Bind | None:
    """A well-formed Bind with at most one format for all, read without a reader: it comes with every execution."""
    size = len(body)
    portal = body.find(0)
    at = body.find(0, portal + 1) + 1
    if portal < 0 or at <= 0 or at + 6 > size:
        return None
    name = body[portal + 1 : at - 1]
    codes: tuple[int, ...] = ()
    results: tuple[int, ...] = ()
    if body[at] or body[at + 1]:
        if not (codes := _ONE_FORMAT.get(body[at : at + 4], ())):
            return None
        at += 2
    at += 2
    if at + 4 > size:
        return None
    count, at = body[at] << 8 | body[at + 1], at + 2
    given: list[bytes | None] = []
    while count:
        count -= 1
        if at + 4 > size:
            return None
        length: int = _LENGTH(body, at)[0]
        at += 4
        if length == -1:
            given.append(None)
        elif length < 0 or at + length > size:
            return None
        else:
            given.append(body[at : at + length])
            at += length
    rest = body[at:]
    if rest != b"\0\0" and not (results := _ONE_FORMAT.get(rest, ())):
        return None
    return _new(Bind, (body[:portal], name, codes, tuple(given), results))


def _any_bind(body: bytes) -> Bind:
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
