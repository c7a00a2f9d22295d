"""A session as it happened: each step with the time since the step before it.

Decides the order of steps (as they were recorded, but a kill by the time of its order) and the pauses between them,
which a replay may shorten. Pure but for its query.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pgjit.audit.reading.faults import RecordUnknown
from pgjit.audit.reading.reader import Reader
from pgjit.audit.reading.record_detail import Document, one
from pgjit.audit.reading.values import as_documents

__all__ = ["Step", "replay", "replayed_session"]

_MOST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Step:
    """One record of the session, parsed, and the seconds since the one before it."""

    record: Document
    pause: float


def replayed_session(reader: Reader, session: str) -> tuple[Document, list[Step]]:
    """The session's row, and its steps. Raises RecordUnknown and duckdb.Error."""
    found = one(reader, "SELECT * FROM sessions WHERE session = $name LIMIT 1", session)
    if found is None:
        hint = '`pgjit audit sql "SELECT * FROM sessions ORDER BY opened_at DESC LIMIT 20"` lists the latest.'
        raise RecordUnknown("session", session, hint)
    lines = reader.query(
        "SELECT record FROM records WHERE starts_with(execution, $prefix) OR session = $name ORDER BY seq",
        {"prefix": f"{session}/", "name": session},
        most=_MOST,
    )
    return found, list(replay(_kills_first([_record(each) for each in as_documents(lines)])))


def _kills_first(records: list[Document]) -> list[Document]:
    """Each kill stands before what came after its order: it is recorded when the session has already ended."""
    ordered = [each for each in records if each["type"] != "session.killed"]
    for kill in (each for each in records if each["type"] == "session.killed"):
        later = (at for at, each in enumerate(ordered) if _moment(each) > _moment(kill))
        ordered.insert(next(later, len(ordered)), kill)
    return ordered


def _moment(record: Document) -> datetime:
    return datetime.fromisoformat(str(record["time"]))


def replay(records: list[Document]) -> Iterator[Step]:
    """The records as steps. A clock that went back is no pause."""
    last: datetime | None = None
    for record in records:
        at = _moment(record)
        yield Step(record, 0.0 if last is None else max(0.0, (at - last).total_seconds()))
        last = at


def _record(row: Document) -> Document:
    line = row["record"]
    assert isinstance(line, dict)
    return line
