"""Answers about a journal that nobody reads: what was asked is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgjit.api.refusals import CallRefused

__all__ = ["KeptQuestions"]

_COMPLETE: dict[str, Any] = {"complete": True, "notices": []}
_EXECUTION: dict[str, Any] = {
    "journal": "n1", "seq": 7, "time": "2026-11-24T08:00:00.000001Z", "statement": "SELECT 1", "execution": "s_1/1",
    "session": "s_1", "window": "w_1", "policy": "reading", "oid": "o-ana", "decision": "allow", "ended": "completed",
}  # fmt: skip


class KeptQuestions:
    """`answers`: by question, in place of the usual one. `fault`: what every question raises."""

    def __init__(self) -> None:
        self.questions: list[Mapping[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.fault: CallRefused | None = None

    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        self.questions.append(question)
        if self.fault is not None:
            raise self.fault
        if (given := self.answers.get(question["ask"])) is not None:
            return {**_COMPLETE, **given}
        if question["ask"] == "sql":
            return {"columns": ["n"], "rows": [[1]], "more": False, **_COMPLETE}
        if question["ask"] in ("executions-csv", "sql-csv"):
            return {"file": b"seq\n7\n", "more": True, **_COMPLETE}
        if question["ask"] == "activity":
            figures = {"executions": 3, "refused": 1, "failed": 0, "rows": 7, "bytes": 90, "longest_us": 1200}
            objects = {"reads": {"public.orders": 2}, "writes": {}, "objects_more": False}
            windows = [{"window": name, **figures, **objects} for name in question["names"]]
            return {"windows": windows, **_COMPLETE}
        return {"items": [dict(_EXECUTION)], "more": True, **_COMPLETE}

    async def aclose(self) -> None: ...
