"""A record of a followed journal as one line. Decides its columns and colours. Pure."""

from __future__ import annotations

from typing import Any, Final

import orjson

from pgjit.audit.plain_text import plain
from pgjit.audit.reading.record_words import outcome_words, record_words
from pgjit.cli.audit_texts import clock
from pgjit.cli.columns import shortened

__all__ = ["parsed", "record_line"]

_RED, _YELLOW, _DIM, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
_BAD: Final = ("login.refused", "backend.remains", "break_glass.used", "journal.gap", "journal.torn")


def parsed(line: bytes) -> dict[str, Any] | None:
    """The record; None if the line is none."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and "type" in record and "time" in record else None


def record_line(record: dict[str, Any], who: str, width: int | None, *, colours: bool) -> str:
    kind = record["type"]
    if kind == "execution":
        mark = "REFUSED" if record.get("decision") == "deny" else ">"
        words = f"{who}  {mark}  {' '.join(str(record.get('statement', '')).split())}"
    elif kind == "outcome":
        words = f"{' ' * min(len(who), 20)}  <  {outcome_words(record)}"
    else:
        words = f"{who}  [{kind}] {record_words(record)}"
    line = f"{clock(record['time'])[11:23]}  {plain(words)}"
    line = line if width is None else shortened(line, max(width, 40))
    return f"{_colour(record)}{line}{_PLAIN}" if colours else line


def _colour(record: dict[str, Any]) -> str:
    kind = record["type"]
    if record.get("decision") == "deny" or kind in _BAD:
        return _RED
    if record.get("ended") in ("failed", "limited", "cut"):
        return _YELLOW
    if kind == "outcome" or record.get("about") == "catalog":
        return _DIM
    return "" if kind == "execution" else _BOLD
