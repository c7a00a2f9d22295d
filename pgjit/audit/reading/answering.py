"""A process of its own that answers one question about the journal: a JSON object on standard input, one on standard
output. `python -m pgjit.audit.reading.answering`.

Decides which questions there are, and how large an answer may be. The HTTP API starts it, so that no query takes time
or memory of the process that serves sessions.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pgjit.audit.question_program import Question, answer_question
from pgjit.audit.reading.csv_text import csv_text
from pgjit.audit.reading.execution_list import ExecutionFilter, list_executions
from pgjit.audit.reading.faults import AuditFault, RecordUnknown, ResultTooLarge
from pgjit.audit.reading.moments import read_moment
from pgjit.audit.reading.reader import Progress, Reader, Rows, opened_reader
from pgjit.audit.reading.record_detail import find_record
from pgjit.audit.reading.report import PARTS, make_report
from pgjit.audit.reading.segment_cache import SegmentCache
from pgjit.audit.reading.session_replay import replayed_session
from pgjit.audit.reading.user_query import run_query
from pgjit.audit.reading.values import as_documents, json_value, shortened, shortened_value
from pgjit.audit.reading.window_activity import window_activity
from pgjit.audit.reading.window_story import window_story
from pgjit.audit.segments.journal_place import with_archive

__all__ = ["answer", "main"]

_MOST_RECORDS: Final = 2000
_LARGEST_RESULT: Final = 8 << 20
_LARGEST_CSV: Final = 24 << 20  # characters
_MOMENTS: Final = ("since", "until")


def answer(question: Question, progress: Progress | None = None) -> dict[str, Any]:
    """The answer, or `fault` with the members of an error. Raises duckdb.Error and OSError."""
    try:
        missing: list[str] = []
        folders, archive = map(Path, question["folders"]), question.get("archive")
        places = [place for each in folders for place in with_archive(each, archive, Path.cwd(), missing)]
        with opened_reader(places, SegmentCache(Path(question["cache"])), progress) as reader:
            reader.notices += missing
            found = _answer(reader, question)
            return {**found, "complete": not reader.notices, "notices": reader.notices}
    except AuditFault as fault:
        status = 404 if isinstance(fault, RecordUnknown) else fault.status
        members = {"message": fault.message, "reference": fault.reference, "hint": fault.hint}
        return {"fault": {**members, "detail": _detail(fault), "status": status, "position": fault.position}}


def main() -> int:
    answer_question(answer)
    return 0


def _detail(fault: AuditFault) -> str | None:
    place = None if fault.position is None else f"At character {fault.position}."
    return " ".join(each for each in (fault.detail, place) if each) or None


def _answer(reader: Reader, question: Question) -> dict[str, Any]:
    name = str(question.get("name"))
    match question["ask"]:
        case "executions":
            rows = list_executions(reader, _filter(question["filter"]), limit=int(question["limit"]))
            items, most = as_documents(rows), question.get("characters")
            return {"items": items if most is None else shortened(items, int(most)), "more": rows.more}
        case "executions-csv":
            return _csv(list_executions(reader, _filter(question["filter"]), limit=int(question["limit"])))
        case "execution":
            return find_record(reader, name).document()
        case "window":
            return window_story(reader, name, catalog=bool(question.get("catalog"))).document()
        case "activity":
            return {"windows": window_activity(reader, [str(each) for each in question["names"]])}
        case "session":
            session, steps = replayed_session(reader, name)
            records = [step.record for step in steps[:_MOST_RECORDS]]
            return {"session": session, "records": records, "more": len(steps) > _MOST_RECORDS}
        case "report":
            period = _moments(question["filter"])
            parts = [name] if question.get("name") else list(PARTS)
            return make_report(reader, parts, period.get("since"), period.get("until"), datetime.now(UTC)).document()
        case "sql-csv":
            rows = run_query(reader, question["query"], most=int(question["limit"]), most_bytes=_LARGEST_CSV)
            return _csv(rows)
        case "sql":
            rows = run_query(reader, question["query"], most=int(question["limit"]), most_bytes=_LARGEST_RESULT)
            kinds = [name in rows.json_columns for name in rows.columns]
            values = [[json_value(v, is_json=k) for v, k in zip(row, kinds, strict=True)] for row in rows.rows]
            most = question.get("characters")
            cut = values if most is None else [[shortened_value(v, int(most)) for v in row] for row in values]
            return {"columns": list(rows.columns), "rows": cut, "more": rows.more}
        case other:
            raise ValueError(f"no question is called {other!r}")


def _csv(rows: Rows) -> dict[str, Any]:
    """Raises ResultTooLarge."""
    text = csv_text(rows.columns, rows.rows)
    if len(text) > _LARGEST_CSV:
        raise ResultTooLarge(_LARGEST_CSV, "Narrow it by `since` and `until` or by another filter, or lower `limit`.")
    return {"file": text, "more": rows.more}


def _filter(members: Mapping[str, Any]) -> ExecutionFilter:
    chosen = {name: value for name, value in members.items() if name not in (*_MOMENTS, "before")}
    before = members.get("before")
    place = None if before is None else (datetime.fromisoformat(before[0]), int(before[1]))
    moments = _moments(members)
    return ExecutionFilter(**chosen, since=moments.get("since"), until=moments.get("until"), before=place)


def _moments(members: Mapping[str, Any]) -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {name: read_moment(members[name], now, f"`{name}`") for name in _MOMENTS if members.get(name) is not None}


if __name__ == "__main__":
    sys.exit(main())
