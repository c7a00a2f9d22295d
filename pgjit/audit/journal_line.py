"""What one line of the journal shows to the journal itself: its number, its time, its digest. Pure."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

import orjson

__all__ = ["HEAD", "digest_of", "number_of", "time_of"]

HEAD = re.compile(rb'\{"v":[0-9]+,"seq":[0-9]+,"time":"(?P<time>[^"]*)","type":"(?P<type>[^"]*)"')
"""How every line begins."""


def digest_of(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def time_of(line: bytes) -> datetime | None:
    """None if it is not a record's line."""
    head = HEAD.match(line)
    return None if head is None else datetime.fromisoformat(head["time"].decode())


def number_of(line: bytes) -> int:
    """Its `seq`. Raises ValueError if it is not a record's line."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise ValueError("its last line is not a record") from None
    seq = record.get("seq") if isinstance(record, dict) else None
    if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1:
        raise ValueError("its last line has no sequence number")
    return seq
