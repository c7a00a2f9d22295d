"""Proofs of a journal that nobody reads: what was asked is kept."""

from __future__ import annotations

from typing import Any

from pgjit.api.refusals import CallRefused
from pgjit.audit.proof.note import VerifierKey

__all__ = ["KeptProofs"]

STATE: dict[str, Any] = {
    "origin": "n1/0/abcdefgh", "segments": 2, "bytes": 4096, "lines": 120, "removed": 0,
    "first_at": "2026-11-23T08:00:00+00:00", "last_at": "2026-11-24T08:59:58+00:00", "signed": 118, "unsigned": 2,
    "signed_at": "2026-11-24T08:59:55+00:00", "witnesses": [], "fault": None,
    "keys": [VerifierKey.of("n1/0/abcdefgh", bytes(32)).text],
}  # fmt: skip


class KeptProofs:
    """`state`: of the latest verification. `proof`: of every record."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.items: list[dict[str, Any]] = [dict(STATE)]
        self.notices: list[str] = []
        self.state: dict[str, Any] = {"state": "none"}
        self.fault: CallRefused | None = None
        self.proof = "c2sp.org/tlog-proof@v1\n"

    async def journals(self) -> dict[str, Any]:
        self._ask("journals")
        return {"journals": self.items, "notices": self.notices}

    async def prove(self, record: str, journal: str | None) -> dict[str, Any]:
        self._ask("prove", record, journal or "")
        return {"origin": "n1", "size": 118, "file": self.proof.encode()}

    async def begin(self, by: str) -> dict[str, Any]:
        self._ask("begin", by)
        self.state = {"state": "running", "begun_at": "2026-11-24T09:00:00+00:00", "by": by, "read": 0, "of": 0}
        return dict(self.state)

    async def verification(self) -> dict[str, Any]:
        if self.fault is not None:
            raise self.fault
        return dict(self.state)

    async def aclose(self) -> None: ...

    def _ask(self, *question: str) -> None:
        self.asked.append(question)
        if self.fault is not None:
            raise self.fault
