"""The windows of this process that ended before their granted end: no login may open a session in one.

Decides how long one is kept: until its granted end has passed and its end is carried out, or a little longer. They
are looked through when there are twice as many as were kept then, because thousands of windows may end at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pgjit.grants.window import Window

__all__ = ["EarlyEnds"]

_FEW: Final = 100


@dataclass(frozen=True, slots=True)
class _EarlyEnd:
    granted_end: datetime
    reason: str
    explanation: str | None  # the reason that a person gave
    task: asyncio.Task[None]  # that carries it out


class EarlyEnds:
    def __init__(self) -> None:
        self._ends: dict[str, _EarlyEnd] = {}
        self._most = _FEW

    def __len__(self) -> int:
        return len(self._ends)

    def add(
        self, window: Window, reason: str, explanation: str | None, task: asyncio.Task[None], now: datetime
    ) -> None:
        if len(self._ends) >= self._most:
            self._ends = {
                window_id: end
                for window_id, end in self._ends.items()
                if end.granted_end >= now or not end.task.done()
            }
            self._most = max(_FEW, 2 * len(self._ends))
        self._ends[window.id] = _EarlyEnd(window.ends_at, reason, explanation, task)

    def of(self, window_id: str) -> tuple[str, str | None] | None:
        """Reason and explanation of the window's early end, if there was one."""
        end = self._ends.get(window_id)
        return None if end is None else (end.reason, end.explanation)
