"""One record, or one execution with everything that belongs to it: its outcome, session and window.

Decides what a name of a record is: `<session>/<number>` of an execution, a `seq`, or `<journal>:<seq>` where several
journals are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pgjit.audit.reading.faults import AuditFault, RecordUnknown
from pgjit.audit.reading.reader import Reader
from pgjit.audit.reading.values import as_documents
from pgjit.audit.results.stored_results import ResultFault, read_result
from pgjit.audit.segments import Segment
from pgjit.audit.segments.journal_place import JournalPlace
from pgjit.audit.segments.store_folder import StoredSegment

__all__ = ["Document", "RecordDetail", "find_record", "one"]

Document = Mapping[str, object]
_SEQ: Final = re.compile(r"(?:(?P<journal>.+):)?(?P<seq>[0-9]{1,18})\Z")
_HINT: Final = "Give the `seq` of a record, or an execution's id as `pgjit audit list` shows it."
_AS_ONE: Final = "SELECT * FROM {} WHERE {} = $name LIMIT 1"


@dataclass(frozen=True, slots=True)
class RecordDetail:
    """`execution` is None for a record of another type; `records`: the lines themselves, parsed, in order."""

    records: tuple[Document, ...]
    execution: Document | None = None
    session: Document | None = None
    window: Document | None = None
    result: Document | None = None
    """The kept rows: `columns` and `rows`, or `fault` where they are not as they were."""

    def document(self) -> dict[str, object]:
        parts = {"execution": self.execution, "session": self.session, "window": self.window, "result": self.result}
        return {**{name: part for name, part in parts.items() if part is not None}, "records": list(self.records)}


def find_record(reader: Reader, name: str) -> RecordDetail:
    """Raises RecordUnknown, AuditFault and duckdb.Error."""
    if "/" in name and not _SEQ.match(name):
        execution = one(reader, _AS_ONE.format("executions", "execution"), name)
        if execution is None:
            raise RecordUnknown("record", name, _HINT)
        return _of_execution(reader, execution)
    found = _SEQ.match(name)
    if found is None:
        raise RecordUnknown("record", name, _HINT)
    record = _by_seq(reader, found["journal"], int(found["seq"]), name)
    if "execution" in record:
        execution = one(reader, _AS_ONE.format("executions", "execution"), str(record["execution"]))
        if execution is not None:
            return _of_execution(reader, execution)
    return RecordDetail(records=(_parsed(record),), session=_session(reader, record), window=_window(reader, record))


def one(reader: Reader, sql: str, name: str) -> Document | None:
    """The row as a JSON object."""
    return next(iter(as_documents(reader.query(sql, {"name": name}))), None)


def _by_seq(reader: Reader, journal: str | None, seq: int, name: str) -> Document:
    rows = reader.query(
        "SELECT * FROM records WHERE seq = $seq AND ($journal IS NULL OR journal = $journal) ORDER BY time LIMIT 20",
        {"seq": seq, "journal": journal},
    )
    found = as_documents(rows)
    if not found:
        raise RecordUnknown("record", name, _HINT)
    names = sorted({str(each["journal"]) for each in found})
    if len(names) > 1:
        raise AuditFault(
            f"several journals have a record {seq}",
            reference="record-ambiguous",
            detail=f"They are {', '.join(names)}.",
            hint=f"Write the journal's name in front: `{names[0]}:{seq}`.",
        )
    return found[0]


def _of_execution(reader: Reader, execution: Document) -> RecordDetail:
    lines = reader.query(
        "SELECT * FROM records WHERE execution = $name ORDER BY seq LIMIT 10", {"name": execution["execution"]}
    )
    records = tuple(map(_parsed, as_documents(lines)))
    return RecordDetail(
        records=records,
        result=next(filter(None, (_result(reader, each, str(execution["journal"])) for each in records)), None),
        execution=execution,
        session=_session(reader, execution),
        window=_window(reader, execution),
    )


def _result(reader: Reader, record: Document, journal: str) -> Document | None:
    reference = record.get("result")
    if not isinstance(reference, dict):
        return None
    if reference.get("kept") is False:
        return {"fault": "it could not be kept, and was not passed on"}
    source = next((each for each in reader.journals if each.name == journal), None)
    places = [] if source is None else [source.place, *{_place(each): None for each in source.segments}]
    try:
        return read_result(places, reference)
    except (ResultFault, OSError) as fault:
        return {"fault": str(fault)}


def _place(segment: Segment) -> JournalPlace:
    return segment.folder if isinstance(segment, StoredSegment) else segment.path.parent


def _session(reader: Reader, record: Document) -> Document | None:
    name = record.get("session")
    return None if name is None else one(reader, _AS_ONE.format("sessions", "session"), str(name))


def _window(reader: Reader, record: Document) -> Document | None:
    name = record.get("window")
    return None if name is None else one(reader, _AS_ONE.format("windows", '"window"'), str(name))


def _parsed(record: Document) -> Document:
    line = record["record"]
    assert isinstance(line, dict)
    return line
