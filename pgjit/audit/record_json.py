"""The text of a record's values: JSON that cannot break a line, and moments. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import orjson

from pgjit.audit.invisible_characters import escape_invisible

__all__ = ["as_json", "as_members", "time_json", "time_text"]

_TIME_BYTES = len('"2026-11-24T09:30:00.000042Z"')


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, always with microseconds: text order is time order."""
    return time_json(moment)[1:-1].decode()


@lru_cache(maxsize=64)  # many records of one turn have the same time
def time_json(moment: datetime) -> bytes:
    """The same in quotes. By orjson: every record has a time, and `isoformat` would take most of the rendering."""
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise ValueError("a record's time needs a zone")
        moment = moment.astimezone(UTC)
    text = orjson.dumps(moment, option=orjson.OPT_UTC_Z)
    return text if len(text) == _TIME_BYTES else text[:-2] + b'.000000Z"'


def as_members(members: dict[str, object]) -> bytes:
    """An object's members without its braces."""
    return as_json(members)[1:-1]


def as_json(value: object) -> bytes:
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        # A lone surrogate is no character and cannot be encoded. It is written as an escape: a statement must not
        # stay out of the journal because it has one.
        text = orjson.dumps(_writable(value))
    if text.isascii() and b"\x7f" not in text:
        return text
    return escape_invisible(text.decode()).encode()


def _writable(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {str(name): _writable(item) for name, item in value.items()}
        case list():
            return [_writable(item) for item in value]
        case _:
            return value
