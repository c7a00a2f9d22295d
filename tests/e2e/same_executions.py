"""The journal beside the server's own log: each session's executions in both, in order, with errors and row counts.

Decides what has to be equal. If its client went away, an execution on record may have reached the server or not.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tests.e2e.server_log import BackendLog
from tests.e2e.worlds import Record

__all__ = ["Session", "different_executions", "different_plans", "different_rows", "sessions"]

_TAG = re.compile(r"\bt\d+x\d+x")
_SHOWN = re.compile(r'^SELECT .* AS "(pgjit\.\w+)"$')
_COMMIT = "-- commit at Sync"  # the server logs its error alone; nor does it log a statement without text


@dataclass(slots=True)
class Session:
    """What is on record of one session."""

    executions: list[Record] = field(default_factory=list)
    outcomes: dict[object, Record] = field(default_factory=dict)

    def outcome(self, execution: Record) -> Record:
        return self.outcomes.get(execution["execution"], {})

    def sent(self) -> Iterator[Record]:
        """Without those that never reached the server, or that it skipped unseen until the Sync."""
        for each in self.executions:
            ended = self.outcome(each).get("ended")
            unseen = ended == "refused" or (ended == "skipped" and each.get("protocol") == "extended")
            if each["decision"] == "allow" and not unseen:
                yield each


def sessions(records: Iterable[Record]) -> dict[str, Session]:
    """By what the server calls them in its log."""
    found: dict[str, Session] = defaultdict(Session)
    backends: dict[str, Session] = {}
    for record in records:
        if record["type"] == "session.opened":
            name = _name_in_log(record["backend"])
            assert name not in backends, f"two sessions on one backend: {record}"
            backends[name] = found[str(record["session"])]
        elif record["type"] in ("execution", "outcome"):
            session = found[str(record["execution"]).partition("/")[0]]
            if record["type"] == "execution":
                session.executions.append(record)
            else:
                assert record["execution"] not in session.outcomes, f"two outcomes: {record}"
                session.outcomes[record["execution"]] = record
    return backends


def _name_in_log(backend: object) -> str:
    assert isinstance(backend, dict)
    began = datetime.fromisoformat(backend["started_at"])
    return f"{int(began.timestamp()):x}.{backend['pid']:x}"


def different_executions(journal: Mapping[str, Session], log: Mapping[str, BackendLog]) -> list[str]:
    """What one of the two tells and the other does not."""
    found = [
        f"backend {name} ran {ran.text!r} and has no session on record"
        for name, backend in log.items()
        if name not in journal
        for ran in backend.ran
        if _TAG.search(ran.text)
    ]
    for name, session in journal.items():
        found += (f"backend {name}: {each}" for each in _different(session, log.get(name, BackendLog())))
    return found


def _different(session: Session, backend: BackendLog) -> Iterator[str]:
    sent = list(session.sent())
    gone = any(session.outcome(each).get("ended") in (None, "cut") for each in sent)
    recorded = [text for each in sent if (text := _sent_text(each)) not in ("", _COMMIT)]
    logged = [_plain(ran.text) for ran in backend.ran]
    missing, more = Counter(logged) - Counter(recorded), Counter(recorded) - Counter(logged)
    doubtful = Counter(_sent_text(each) for each in sent if session.outcome(each).get("ended") in (None, "cut"))
    if missing:
        yield f"not on record: {dict(missing)}"
    if more - doubtful:
        yield f"on record and never run: {dict(more - doubtful)}"
    # A Parse or Bind that fails is recorded when the server has said so: after what was sent behind it.
    rejected = {_plain(ran.text) for ran in backend.ran if ran.rejected}
    in_order = [text for text in recorded if text not in rejected]
    if not (missing or more) and in_order != [text for text in logged if text not in rejected]:
        yield f"in another order: {in_order} on record, {logged} in the log"
    errors = [str(each["sqlstate"]) for each in session.outcomes.values() if each["ended"] == "failed"]
    if not gone and Counter(errors) != Counter(backend.errors):
        yield f"other errors: {errors} on record, {backend.errors} in the log"


def _sent_text(execution: Record) -> str:
    through = execution.get("through")
    text = through[0] if isinstance(through, list) else execution["statement"]
    return _plain(str(text))


def _plain(text: str) -> str:
    """Without what differs by design: pgjit answers SHOW of its own values by a SELECT of a constant."""
    shown = _SHOWN.search(text)
    return f"SHOW {shown[1]}" if shown else text.strip().rstrip(";").strip()


def different_rows(journal: Mapping[str, Session], seen: Mapping[str, int]) -> list[str]:
    """Tags of statements that have other rows on record than their clients counted."""
    by_tag: Counter[str] = Counter()
    for session in journal.values():
        for each in session.executions:
            for tag in set(_TAG.findall(f"{each['statement']} {each.get('parameters')} {each.get('through')}")):
                by_tag[tag] += _rows(session, each)
    return [
        f"{tag}: {by_tag[tag]} rows, and {count} at the client" for tag, count in seen.items() if by_tag[tag] != count
    ]


def different_plans(journal: Mapping[str, Session], log: Mapping[str, BackendLog]) -> tuple[int, list[str]]:
    """How many executions were compared, and texts that have other rows on record than in the server's plans.

    A text is compared where the server logged a plan for each of its executions: it logs none that failed, or
    that were open when their transaction failed. Nor does it log which part of a message had which plan.
    """
    compared, found = 0, []
    for name, session in journal.items():
        backend = log.get(name, BackendLog())
        ran = Counter(_plain(each.text) for each in backend.ran if not each.again)
        plans, rows, recorded = Counter[str](), Counter[str](), Counter[str]()
        for text, count in backend.plans:
            plans[_plain(text)] += 1
            rows[_plain(text)] += count
        failed = set[str]()  # an INSERT may run to its end, and fail when its transaction ends
        for each in session.executions:
            recorded[_sent_text(each)] += _rows(session, each)
            if session.outcome(each).get("ended") not in ("completed", "suspended"):
                failed.add(_sent_text(each))
        for text, times in plans.items():
            if times == ran[text] and text not in failed and not text.startswith(("PREPARE", "DECLARE")):
                compared += times
                if rows[text] != recorded[text]:
                    found.append(f"backend {name}, {text!r}: {recorded[text]} rows, {rows[text]} in plans")
    return compared, found


def _rows(session: Session, execution: Record) -> int:
    rows = session.outcome(execution).get("rows", 0)
    assert isinstance(rows, int)
    return rows
