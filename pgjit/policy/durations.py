"""A length of time as policies and logins write it: a whole number with its unit."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

__all__ = ["Duration", "duration_text", "parse_duration"]

_DURATION = re.compile(r"([1-9][0-9]{0,6})(s|m|h)\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
_LONGEST = timedelta(days=365)


def parse_duration(value: object) -> timedelta:
    """Raises ValueError with what is accepted."""
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a whole number with its unit, such as 90s, 30m or 2h")
    length = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if length > _LONGEST:
        raise ValueError("is longer than a year")
    return length


def duration_text(length: timedelta) -> str:
    """In the largest unit that keeps it whole: `30m`, `90s`, `2h`. Fractions of a second are dropped."""
    seconds = int(length.total_seconds())
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": r"^[1-9][0-9]{0,6}(s|m|h)$"}),
]
