"""Which records of a followed journal are shown, and the names of those whose session is known. Pure.

Decides that an outcome is shown if its execution is. Under a filter by SQLSTATE an allowed execution waits for its
outcome, and both are shown then. Keeps what it needs of sessions that are open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

__all__ = ["TailFilter", "Written"]

Record = Mapping[str, Any]
Written = tuple[bytes, dict[str, Any]]
"""A record with its line."""

_MOST: Final = 100_000  # executions that wait for their outcome, and sessions whose end is not seen


@dataclass(slots=True, kw_only=True)
class TailFilter:
    identity: str | None = None
    policy: str | None = None
    group: str | None = None
    connection: str | None = None
    window: str | None = None
    session: str | None = None
    touches: str | None = None
    decision: str | None = None
    sqlstate: str | None = None
    since: datetime | None = None
    text: str | None = None
    catalog: bool = False
    kinds: frozenset[str] = frozenset()
    _sessions: dict[str, Record] = field(default_factory=dict, init=False)
    _shown: dict[str, None] = field(default_factory=dict, init=False)
    _held: dict[str, Written] = field(default_factory=dict, init=False)

    def note(self, record: Record) -> None:
        """Keep what later records of the session do not repeat."""
        if record.get("type") == "session.opened":
            _bounded(self._sessions)[str(record.get("session"))] = record

    def take(self, line: bytes, record: dict[str, Any]) -> list[Written]:
        """What is to be shown now: this record, or none, or an execution that waited and this outcome."""
        self.note(record)
        return [each for each in self._chosen((line, record)) if self._is_kind(str(each[1].get("type")))]

    def _chosen(self, written: Written) -> list[Written]:
        record = written[1]
        kind, execution = record.get("type"), str(record.get("execution"))
        if kind == "outcome":
            if (held := self._held.pop(execution, None)) is not None:
                return [held, written] if self._has_sqlstate(record) else []
            shown = execution in self._shown
            self._shown.pop(execution, None)
            return [written] if shown else []
        if not self._matches(record):
            return []
        if kind == "execution" and self.sqlstate is not None and record.get("decision") == "allow":
            _bounded(self._held)[execution] = written
            return []
        if not self._has_sqlstate(record):
            return []
        if kind == "execution":
            _bounded(self._shown)[execution] = None
        return [written]

    def who(self, record: Record) -> str:
        """The display name, as far as it is known."""
        for source in (record, self._session(record)):
            identity = source.get("identity")
            if isinstance(identity, Mapping):
                return str(identity.get("display") or identity.get("oid") or "-")
        return str(record.get("identity") or "-").rpartition("/")[2]

    def _is_kind(self, kind: str) -> bool:
        return not self.kinds or any(kind == each or kind.startswith(f"{each}.") for each in self.kinds)

    def _session(self, record: Record) -> Record:
        name = str(record.get("session") or str(record.get("execution") or "").split("/")[0])
        return self._sessions.get(name, {})

    def _matches(self, record: Record) -> bool:
        session = self._session(record)
        window = record.get("window")
        values = {
            "policy": record.get("policy"),
            "connection": record.get("connection") or session.get("connection"),
            "window": window.get("id") if isinstance(window, Mapping) else window,
            "session": record.get("session") or str(record.get("execution") or "").split("/")[0],
            "decision": record.get("decision"),
        }
        if any(getattr(self, name) not in (None, value) for name, value in values.items()):
            return False
        if self.since is not None and not _is_from(record, self.since):
            return False
        if self.group is not None and _group(record) != self.group and _group(session) != self.group:
            return False
        if self.touches is not None and not _touches(record, self.touches):
            return False
        if not self.catalog and record.get("about") == "catalog":
            return False
        if self.text is not None and self.text.lower() not in str(record.get("statement", "")).lower():
            return False
        return self.identity is None or self._is_of(record, self.identity.lower())

    def _has_sqlstate(self, record: Record) -> bool:
        if self.sqlstate is None:
            return True
        violations = record.get("violations") or [{}]
        return str(record.get("sqlstate") or violations[0].get("sqlstate") or "").startswith(self.sqlstate.upper())

    def _is_of(self, record: Record, name: str) -> bool:
        identity = record.get("identity")
        key = f"{identity.get('tid')}/{identity.get('oid')}" if isinstance(identity, Mapping) else str(identity or "")
        return name in (key.lower(), key.rpartition("/")[2].lower(), self.who(record).lower())


def _is_from(record: Record, since: datetime) -> bool:
    try:
        return datetime.fromisoformat(str(record.get("time"))) >= since
    except ValueError:
        return False


def _group(record: Record) -> object:
    membership = record.get("membership")
    return membership.get("group") if isinstance(membership, Mapping) else None


def _touches(record: Record, name: str) -> bool:
    """Whether it read, wrote or called it: by its qualified name, or the last part of it."""
    objects = [each for member in ("reads", "writes", "calls") for each in record.get(member, ())]
    return any(each == name or ("." not in name and each.endswith(f".{name}")) for each in objects)


def _bounded(names: dict[str, Any]) -> dict[str, Any]:
    """The oldest makes room."""
    if len(names) >= _MOST:
        del names[next(iter(names))]
    return names
