"""What the journal looks for in its own lines, from the last one back. Blocks while it reads.

Each function raises JournalUnavailable.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson

from pgjit.audit.journal_line import HEAD, digest_of, number_of
from pgjit.audit.record_json import time_text
from pgjit.errors import JournalUnavailable
from pgjit.grants.journal_mark import JournalMark

__all__ = ["holds", "recorded_windows", "records_back"]

_LATE = timedelta(seconds=5)
"""So much earlier than the record before it may a record be: executions have the time at which their turn began."""


def holds(lines: Iterator[bytes], mark: JournalMark) -> bool:
    """Whether the record of `mark` is among them, unchanged."""
    try:
        for line in lines:
            seq = number_of(line)
            if seq <= mark.seq:
                return seq == mark.seq and digest_of(line) == mark.sha256
    except ValueError:
        return False
    except OSError as error:
        raise JournalUnavailable from error
    return False


def records_back(lines: Iterator[bytes], since: datetime, kinds: bytes) -> Iterator[dict[str, Any]]:
    """The records since `since` whose type begins with `kinds`, the last first."""
    first = time_text(since - _LATE)
    try:
        for line in lines:
            head = HEAD.match(line)
            if head is None:
                continue
            if head["type"].startswith(kinds):
                yield orjson.loads(line)
            elif head["time"].decode() < first:  # records of windows may have been written late
                return
    except (OSError, ValueError) as error:
        raise JournalUnavailable from error


def recorded_windows(lines: Iterator[bytes], since: datetime) -> set[tuple[str, str]]:
    """The records of windows since `since`: type and window id of each."""
    try:
        return {(record["type"], record["window"]["id"]) for record in records_back(lines, since, b"window.")}
    except (KeyError, TypeError) as error:
        raise JournalUnavailable from error
