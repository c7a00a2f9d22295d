"""Lines of a journal as pgjit writes them, for the tests of the export."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from pgjit.audit.segments import segment_name

__all__ = ["SESSION", "WHO", "JournalFolder", "execution", "opened", "outcome"]

SESSION = "abcdefgh234567ab"
WHO = {"identity": "tenant/agent", "policy": "reader", "window": "w_abcdefgh234567ab"}
_START = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


class JournalFolder:
    """Writes records with their heads into the folder's open segment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self._first = 0

    def append(self, *records: dict[str, Any]) -> None:
        new = []
        for number, record in enumerate(records, len(self.lines) + 1):
            moment = _START + timedelta(milliseconds=number)
            time = f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
            new.append(orjson.dumps({"v": 1, "seq": number, "time": time, **record}))
        self.lines += new
        with (self.path / f"{segment_name(self._first)}.jsonl").open("ab") as file:
            file.write(b"".join(line + b"\n" for line in new))

    def rotate(self) -> None:
        self._first = len(self.lines)


def opened(session: str = SESSION) -> dict[str, Any]:
    return {
        "type": "session.opened", **WHO, "identity": {"tid": "tenant", "oid": "agent"},
        "window": {"id": WHO["window"]}, "session": session, "connection": "prod-replica", "database": "shop",
        "server": "db.internal:5433", "source": "10.0.0.7:51000",
    }  # fmt: skip


def execution(
    number: int, statement: str = "SELECT total FROM orders WHERE id = 7", **members: Any
) -> dict[str, Any]:
    return {
        "type": "execution", **WHO, "execution": f"{SESSION}/{number}", "decision": "allow", "kind": "select",
        "statement": statement, "normalised": "SELECT total FROM orders WHERE id = $1",
        "fingerprint": "50fde20626009aba",        "reads": ["public.orders"], **members,
    }  # fmt: skip


def outcome(number: int, **members: Any) -> dict[str, Any]:
    return {
        "type": "outcome", "window": WHO["window"], "execution": f"{SESSION}/{number}", "ended": "completed",
        "command": "SELECT 1", "rows": 1, "bytes": 40, "duration_us": 1500, **members,
    }  # fmt: skip
