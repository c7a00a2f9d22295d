"""Answers about a journal that nobody reads: what was asked is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["KeptQuestions"]


class KeptQuestions:
    def __init__(self) -> None:
        self.questions: list[Mapping[str, Any]] = []

    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        self.questions.append(question)
        if question["ask"] == "sql":
            return {"columns": ["n"], "rows": [[1]], "more": False, "complete": True, "notices": []}
        if question["ask"] == "executions-csv":
            return {"csv": "seq\n7\n", "more": True, "complete": True, "notices": []}
        if question["ask"] == "activity":
            figures = {"executions": 3, "refused": 1, "failed": 0, "rows": 7, "bytes": 90, "longest_us": 1200}
            objects = {"reads": {"public.orders": 2}, "writes": {}, "objects_more": False}
            windows = [{"window": name, **figures, **objects} for name in question["names"]]
            return {"windows": windows, "complete": True, "notices": []}
        items = [{"seq": 7, "time": "2026-11-24T08:00:00.000001Z", "statement": "SELECT 1"}]
        return {"items": items, "more": True, "complete": True, "notices": []}

    async def aclose(self) -> None: ...
