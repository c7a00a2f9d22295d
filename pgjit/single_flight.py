"""One run at a time of something slow: who asks while it runs gets that run's outcome.

Without it, those who wait for something that fails slowly would fail one after the other, each after the full
time. Decides nothing about what is run, and remembers no outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

__all__ = ["SingleFlight"]

T = TypeVar("T")


class SingleFlight(Generic[T]):
    def __init__(self, run: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._run = run
        self._task: asyncio.Task[T] | None = None

    @property
    def running(self) -> asyncio.Task[T] | None:
        return self._task

    async def __call__(self) -> T:
        if self._task is None:
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._done)
        # Shielded: one who gives up must not take the outcome from the others.
        return await asyncio.shield(self._task)

    def _done(self, task: asyncio.Task[T]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # seen, even if all who asked have gone

    async def close(self) -> None:
        """Stop a run that is under way, and wait until it has."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
