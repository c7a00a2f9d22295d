"""One line of the program's own log, as text or as JSON.

Decides what a line contains. INVARIANT: a record is one line that a terminal shows as it is: control characters and
what else is invisible are escaped, so nothing from outside can forge a line. What looks like a token is left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from pgjit.telemetry.log_context import context_of_line

__all__ = ["JsonLines", "TextLines"]

_MOST_CHARACTERS = 8192
_FIELDS = ("session", "window", "reference", "source", "connection", "policy", "count")
"""What callers may pass as `extra`."""

_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*){1,2}")
_TRACEBACK = logging.Formatter()


class TextLines(logging.Formatter):
    """`time LEVEL logger: message session=... window=...`. A traceback follows in lines that begin with spaces."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_visible(value)}" for name, value in _fields_of(record).items())
        line = f"{_time(record)} {record.levelname} {record.name}: {_visible(record.getMessage())}{fields}"
        trace = _traceback(record)
        return "\n    ".join([line, *(_visible(each) for each in trace.splitlines())])


class JsonLines(logging.Formatter):
    """An object with `time`, `level`, `logger`, `message`, the ids that are known, and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _visible(record.getMessage()),
            **{
                name: value if isinstance(value, int) else _visible(value)
                for name, value in _fields_of(record).items()
            },
        }
        if trace := _traceback(record):
            line["exception"] = "\n".join(_visible(each) for each in trace.splitlines())
        return orjson.dumps(line).decode()


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _fields_of(record: logging.LogRecord) -> Mapping[str, Any]:
    passed = {name: value for name in _FIELDS if (value := getattr(record, name, None)) is not None}
    return context_of_line() | passed


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    return _TRACEBACK.formatException(record.exc_info)


def _visible(value: object) -> str:
    text = str(value)
    if len(text) > _MOST_CHARACTERS:
        text = text[:_MOST_CHARACTERS] + f"... ({len(text)} characters)"
    if "eyJ" in text:
        text = _TOKEN.sub("<token>", text)
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    """As in Python's own literals: a newline is `\\n`, a surrogate or a bidirectional control `\\u202e`."""
    return repr(character)[1:-1]
