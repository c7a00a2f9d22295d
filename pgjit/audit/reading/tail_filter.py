"""Which records of a followed journal are shown, and the names of those whose session is known. Pure.

Decides that an outcome is shown if its execution is. Keeps what it needs of sessions that are open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["TailFilter"]

Record = Mapping[str, Any]
_MOST: Final = 100_000  # executions that wait for their outcome, and sessions whose end is not seen


@dataclass(slots=True, kw_only=True)
class TailFilter:
    identity: str | None = None
    policy: str | None = None
    connection: str | None = None
    window: str | None = None
    session: str | None = None
    decision: str | None = None
    text: str | None = None
    catalog: bool = False
    kinds: frozenset[str] = frozenset()
    _sessions: dict[str, Record] = field(default_factory=dict, init=False)
    _shown: dict[str, None] = field(default_factory=dict, init=False)

    def note(self, record: Record) -> None:
        """Keep what later records of the session do not repeat."""
        if record.get("type") == "session.opened":
            _bounded(self._sessions)[str(record.get("session"))] = record

    def takes(self, record: Record) -> bool:
        self.note(record)
        kind = str(record.get("type"))
        execution = str(record.get("execution"))
        if kind == "outcome":
            shown = execution in self._shown
            self._shown.pop(execution, None)
            return shown and self._is_kind(kind)
        shown = self._matches(record)
        if shown and kind == "execution":
            _bounded(self._shown)[execution] = None
        return shown and self._is_kind(kind)

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
        if not self.catalog and record.get("about") == "catalog":
            return False
        if self.text is not None and self.text.lower() not in str(record.get("statement", "")).lower():
            return False
        return self.identity is None or self._is_of(record, self.identity.lower())

    def _is_of(self, record: Record, name: str) -> bool:
        identity = record.get("identity")
        key = f"{identity.get('tid')}/{identity.get('oid')}" if isinstance(identity, Mapping) else str(identity or "")
        return name in (key.lower(), key.rpartition("/")[2].lower(), self.who(record).lower())


def _bounded(names: dict[str, Any]) -> dict[str, Any]:
    """The oldest makes room."""
    if len(names) >= _MOST:
        del names[next(iter(names))]
    return names
