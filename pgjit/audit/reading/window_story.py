"""The story of one window: who asked and why, who approved, its opening, its sessions and executions, its end.

Decides what belongs to a window. Does not know how it is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pgjit.audit.reading.faults import RecordUnknown
from pgjit.audit.reading.reader import Reader
from pgjit.audit.reading.record_detail import Document, one
from pgjit.audit.reading.values import as_documents

__all__ = ["MOST_EXECUTIONS", "WindowStory", "window_story"]

MOST_EXECUTIONS: Final = 500


@dataclass(frozen=True, slots=True)
class WindowStory:
    """`events`: its other records, parsed, in order. `executions`: the first of them; `totals`: of all."""

    window: Document
    request: Document | None
    events: tuple[Document, ...]
    sessions: tuple[Document, ...]
    executions: tuple[Document, ...]
    totals: Document

    def document(self) -> dict[str, object]:
        return {
            "window": self.window,
            **({} if self.request is None else {"request": self.request}),
            "events": list(self.events),
            "sessions": list(self.sessions),
            "totals": self.totals,
            "executions": list(self.executions),
        }


def window_story(reader: Reader, name: str, *, catalog: bool = False, most: int = MOST_EXECUTIONS) -> WindowStory:
    """Raises RecordUnknown and duckdb.Error."""
    window = one(reader, 'SELECT * FROM windows WHERE "window" = $name LIMIT 1', name)
    if window is None:
        hint = '`pgjit audit sql "SELECT * FROM windows ORDER BY opened_at DESC LIMIT 20"` lists the latest.'
        raise RecordUnknown("window", name, hint)
    asked = window.get("request")
    request = None if asked is None else one(reader, "SELECT * FROM requests WHERE request = $name", str(asked))
    events = reader.query(
        # A kill is recorded by its session alone, and when it is carried out: its `time` is that of the order.
        'SELECT record FROM pieces.all_events WHERE "window" = $name OR request = $request '
        "OR type = 'session.killed' AND session IN (SELECT session FROM sessions WHERE \"window\" = $name) "
        "ORDER BY time, seq",
        {"name": name, "request": asked},
    )
    chosen = '"window" = $name' + ("" if catalog else " AND about IS DISTINCT FROM 'catalog'")
    executions = reader.query(
        f"SELECT * FROM executions WHERE {chosen} ORDER BY time, seq LIMIT {most}", {"name": name}
    )
    totals = one(
        reader,
        "SELECT count(*) AS executions, count(*) FILTER (decision = 'deny') AS refused, "
        "count(*) FILTER (about = 'catalog') AS catalog, count(*) FILTER (ended = 'failed') AS failed, "
        "count(*) FILTER (ended IN ('limited', 'cut')) AS stopped, "
        "coalesce(sum(rows), 0)::BIGINT AS rows, coalesce(sum(bytes), 0)::BIGINT AS bytes, "
        # What was refused or has failed wrote nothing.
        "coalesce(list_sort(list_distinct(flatten(list(writes) FILTER (CASE WHEN ended IS NULL "
        "THEN decision = 'allow' ELSE ended NOT IN ('refused', 'failed') END)))), []) AS written "
        'FROM executions WHERE "window" = $name',
        name,
    )
    return WindowStory(
        window=window,
        request=request,
        events=tuple(_record(each) for each in as_documents(events)),
        sessions=tuple(
            as_documents(
                reader.query('SELECT * FROM sessions WHERE "window" = $name ORDER BY opened_at', {"name": name})
            )
        ),
        executions=tuple(as_documents(executions)),
        totals=totals or {},
    )


def _record(row: Document) -> Document:
    line = row["record"]
    assert isinstance(line, dict)
    return line
