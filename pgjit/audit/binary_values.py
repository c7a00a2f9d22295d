"""Values of parameters in PostgreSQL's binary formats, as a record shows them. Pure.

Decides which types are decoded: integers and floats become numbers, booleans and arrays those of JSON, and numeric,
uuid, dates, times, JSON and texts become text. Any other type, and bytes that a type never has, are `Undecoded`.
"""

from __future__ import annotations

import math
import struct
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import islice

__all__ = ["TEXTS", "Undecoded", "decoded", "type_name"]

_MICROSECONDS = 1_000_000
_DAY = 86_400 * _MICROSECONDS
_DATE_ENDS = {-(2**31): "-infinity", 2**31 - 1: "infinity"}
_TIMESTAMP_ENDS = {-(2**63): "-infinity", 2**63 - 1: "infinity"}
_NUMERIC_SIGNS = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}
_MOST_DIGITS = 1000
_MOST_DIMENSIONS = 6


class Undecoded(ValueError):
    """The value is recorded as bytes, with the name of its type."""


def decoded(oid: int, value: bytes) -> object:
    """The value as one of JSON. Raises Undecoded."""
    element = _ARRAYS.get(oid)
    if element is not None:
        return _array(element, value)
    return _scalar(oid, value)


def type_name(oid: int) -> str | int | None:
    """The name of a type, or its object id if pgjit has no name for it. None: it is not known."""
    return _NAMES.get(oid, oid) or None


def _scalar(oid: int, value: bytes) -> object:
    decode = _SCALARS.get(oid)
    if decode is None:
        raise Undecoded(oid)
    try:
        return decode(value)
    except (struct.error, ValueError, OverflowError) as malformed:
        raise Undecoded(oid) from malformed


# --- scalars -------------------------------------------------------------------------------------------


def _packed(code: str) -> Callable[[bytes], object]:
    whole = struct.Struct(f"!{code}")
    return lambda value: whole.unpack(value)[0]


def _bool(value: bytes) -> bool:
    if value not in (b"\0", b"\1"):
        raise ValueError(value)
    return value == b"\1"


def _float8(value: bytes) -> object:
    return _finite(struct.unpack("!d", value)[0])


def _float4(value: bytes) -> object:
    """With as few digits as tell it from other float4 values, as PostgreSQL writes it."""
    (number,) = struct.unpack("!f", value)
    if not math.isfinite(number):
        return _finite(number)
    for digits in range(1, 9):
        short = float(f"{number:.{digits}g}")
        with suppress(OverflowError):  # it was rounded up
            if struct.pack("!f", short) == value:
                return short
    return float(f"{number:.9g}")


def _finite(number: float) -> object:
    """JSON has no word for the others."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _text(value: bytes) -> str:
    return value.decode()


def _jsonb(value: bytes) -> str:
    if value[:1] != b"\1":
        raise ValueError("unknown version of jsonb")
    return value[1:].decode()


def _uuid(value: bytes) -> str:
    return str(uuid.UUID(bytes=value))


def _numeric(value: bytes) -> str:
    """Base 10,000 digits; `weight` is the exponent of the first, `scale` the digits after the point."""
    count, weight, sign, scale = struct.unpack_from("!HhHH", value)
    if sign in _NUMERIC_SIGNS and count == 0:
        return _NUMERIC_SIGNS[sign]
    groups = struct.unpack_from(f"!{count}H", value, 8)
    if len(value) != 8 + 2 * count or sign not in (0, 0x4000) or any(group > 9999 for group in groups):
        raise ValueError("not a numeric")
    if abs(weight) * 4 > _MOST_DIGITS or scale > _MOST_DIGITS:
        raise ValueError("too many digits to show")
    before = [groups[index] if index < count else 0 for index in range(weight + 1)]
    after = [groups[weight + index] if 0 <= weight + index < count else 0 for index in range(1, scale // 4 + 2)]
    whole = "".join(f"{group:04}" for group in before).lstrip("0") or "0"
    fraction = "".join(f"{group:04}" for group in after)[:scale]
    return f"{'-' if sign else ''}{whole}{'.' if fraction else ''}{fraction}"


def _date(value: bytes) -> str:
    (days,) = struct.unpack("!i", value)
    return _DATE_ENDS.get(days) or (date(2000, 1, 1) + timedelta(days=days)).isoformat()


def _timestamp(value: bytes) -> str:
    (moment,) = struct.unpack("!q", value)
    if moment in _TIMESTAMP_ENDS:
        return _TIMESTAMP_ENDS[moment]
    return (datetime(2000, 1, 1) + timedelta(microseconds=moment)).isoformat()  # noqa: DTZ001 - it has no zone


def _timestamptz(value: bytes) -> str:
    text = _timestamp(value)
    return text if text.endswith("infinity") else f"{text}Z"


def _time(value: bytes) -> str:
    (moment,) = struct.unpack("!q", value)
    if not 0 <= moment <= _DAY:
        raise ValueError("not a time of day")
    seconds, fraction = divmod(moment, _MICROSECONDS)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}" if fraction else text


def _timetz(value: bytes) -> str:
    west = struct.unpack("!i", value[8:])[0]
    sign, away = ("-", west) if west > 0 else ("+", -west)
    seconds = f":{away % 60:02}" if away % 60 else ""
    return f"{_time(value[:8])}{sign}{away // 3600:02}:{away // 60 % 60:02}{seconds}"


# --- arrays --------------------------------------------------------------------------------------------


def _array(element: int, value: bytes) -> object:
    """As nested lists. Lower bounds are not shown."""
    try:
        dimensions, _, oid = struct.unpack_from("!iiI", value)
        if oid != element or not 0 <= dimensions <= _MOST_DIMENSIONS:
            raise Undecoded(element)
        lengths = [struct.unpack_from("!ii", value, 12 + 8 * index)[0] for index in range(dimensions)]
        count = math.prod(lengths) if lengths else 0
        start = 12 + 8 * dimensions
        if min(lengths, default=0) < 0 or count * 4 > len(value) - start:  # each element has a length of 4 bytes
            raise Undecoded(element)
        items, end = _elements(element, value, start, count)
    except struct.error as malformed:
        raise Undecoded(element) from malformed
    if end != len(value):
        raise Undecoded(element)
    for length in reversed(lengths[1:]):
        if not length:
            return []
        rest = iter(items)
        items = [list(islice(rest, length)) for _ in range(len(items) // length)]
    return items


def _elements(element: int, value: bytes, at: int, count: int) -> tuple[list[object], int]:
    items: list[object] = []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", value, at)
        at += 4
        if length < -1 or at + max(length, 0) > len(value):
            raise Undecoded(element)
        if length == -1:
            items.append(None)
            continue
        items.append(_scalar(element, value[at : at + length]))
        at += length
    return items, at


# --- the types, by their object ids --------------------------------------------------------------------

TEXTS = frozenset({18, 19, 25, 114, 142, 705, 1042, 1043})
"""Types whose binary form is their text: char, name, text, json, xml, unknown, character and character varying."""

_SCALARS: dict[int, Callable[[bytes], object]] = {
    16: _bool, 20: _packed("q"), 21: _packed("h"), 23: _packed("i"), 26: _packed("I"), 700: _float4, 701: _float8,
    1082: _date, 1083: _time, 1114: _timestamp, 1184: _timestamptz, 1266: _timetz, 1700: _numeric, 2950: _uuid,
    3802: _jsonb, **dict.fromkeys(TEXTS, _text),
}  # fmt: skip

_ARRAYS = {
    143: 142, 199: 114, 1000: 16, 1002: 18, 1003: 19, 1005: 21, 1007: 23, 1009: 25, 1014: 1042, 1015: 1043, 1016: 20,
    1021: 700, 1022: 701, 1028: 26, 1115: 1114, 1182: 1082, 1183: 1083, 1185: 1184, 1231: 1700, 1270: 1266,
    2951: 2950, 3807: 3802,
}  # fmt: skip

_NAMES = {
    16: "bool", 17: "bytea", 18: "char", 19: "name", 20: "int8", 21: "int2", 22: "int2vector", 23: "int4",
    24: "regproc", 25: "text", 26: "oid", 27: "tid", 28: "xid", 29: "cid", 30: "oidvector", 114: "json", 142: "xml",
    143: "xml[]", 199: "json[]", 600: "point", 601: "lseg", 602: "path", 603: "box", 604: "polygon", 628: "line",
    650: "cidr", 700: "float4", 701: "float8", 705: "unknown", 718: "circle", 774: "macaddr8", 790: "money",
    829: "macaddr", 869: "inet", 1000: "bool[]", 1001: "bytea[]", 1005: "int2[]", 1007: "int4[]", 1009: "text[]",
    1015: "varchar[]", 1016: "int8[]", 1017: "point[]", 1021: "float4[]", 1022: "float8[]", 1041: "inet[]",
    1042: "bpchar", 1043: "varchar", 1082: "date", 1083: "time", 1114: "timestamp", 1115: "timestamp[]",
    1182: "date[]", 1184: "timestamptz", 1185: "timestamptz[]", 1186: "interval", 1187: "interval[]",
    1231: "numeric[]", 1266: "timetz", 1560: "bit", 1562: "varbit", 1700: "numeric", 2202: "regprocedure",
    2205: "regclass", 2206: "regtype", 2249: "record", 2950: "uuid", 2951: "uuid[]", 3220: "pg_lsn",
    3614: "tsvector", 3615: "tsquery", 3802: "jsonb", 3807: "jsonb[]", 3904: "int4range", 3906: "numrange",
    3908: "tsrange", 3910: "tstzrange", 3912: "daterange", 3926: "int8range", 4072: "jsonpath", 5069: "xid8",
}  # fmt: skip
