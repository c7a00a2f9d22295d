"""The text of a record's values: JSON that cannot break a line, and moments. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import orjson

from pgjit.audit.invisible_characters import escape_invisible

__all__ = ["as_json", "as_members", "time_of_nanoseconds", "time_text"]

_NANOSECONDS: Final = 1_000_000_000
_MICROSECONDS: Final = 1_000_000


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, always with microseconds: text order is time order."""
    if moment.tzinfo is None:
        raise ValueError("a record's time needs a zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def time_of_nanoseconds(nanoseconds: int) -> str:
    """The same of nanoseconds since 1970. Every execution has two of them: the text of a second is made once."""
    second = nanoseconds // _NANOSECONDS  # `divmod` costs more where this is compiled
    below = nanoseconds - second * _NANOSECONDS
    return f"{_second_text(second)}{str(_MICROSECONDS + below // 1000)[1:]}Z"


@lru_cache(maxsize=16)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:-6] + "."


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
        case list() | tuple():
            return [_writable(item) for item in value]
        case _:
            return value
