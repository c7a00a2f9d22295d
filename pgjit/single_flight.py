"""One run at a time of something slow: those who call while it runs share its outcome.

Without it, callers of something that fails slowly fail one after the other, each after the full time. Decides nothing
about what is run, and keeps no outcome.

The contract, for both classes:

- A call starts a run if none is under way; then it waits. Every caller gets the run's result, or its exception.
- A caller that is cancelled leaves alone. The run goes on, even if nobody waits for it any more, so it needs a time
  limit of its own.
- `close` cancels the runs and waits for them. Those who wait, and those who call later, get the error that `stopped`
  makes, not CancelledError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from contextvars import Context
from typing import Any, Generic, TypeVar

__all__ = ["SingleFlight", "SingleFlightByKey"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

Run = Callable[[], Coroutine[Any, Any, T]]


class SingleFlightByKey(Generic[K, T]):
    """One run at a time for each key."""

    def __init__(self, *, stopped: Callable[[], Exception]) -> None:
        self._stopped = stopped
        self._runs: dict[K, asyncio.Task[T]] = {}
        self._closed = False

    async def __call__(self, key: K, run: Run[T]) -> T:
        """The outcome of the run under way for `key`, or else of `run`."""
        task = self.begin(key, run)
        await asyncio.wait([task])  # unlike `await task`, does not cancel the run with its caller
        if task.cancelled():
            raise self._stopped()
        return task.result()

    def begin(self, key: K, run: Run[T]) -> asyncio.Task[T]:
        """The run under way for `key`, or else `run` as a new one, without waiting for it."""
        if self._closed:
            raise self._stopped()
        task = self._runs.get(key)
        if task is None:
            task = self._runs[key] = asyncio.create_task(run(), context=Context())  # shared: of no session
            task.add_done_callback(lambda done: self._done(key, done))
        return task

    def running(self, key: K) -> asyncio.Task[T] | None:
        return self._runs.get(key)

    async def close(self) -> None:
        self._closed = True
        tasks = list(self._runs.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, key: K, task: asyncio.Task[T]) -> None:
        del self._runs[key]
        if not task.cancelled():
            task.exception()  # retrieved, even if no caller is left


class SingleFlight(Generic[T]):
    """One run at a time of `run`."""

    def __init__(self, run: Run[T], *, stopped: Callable[[], Exception]) -> None:
        self._run = run
        self._flights: SingleFlightByKey[None, T] = SingleFlightByKey(stopped=stopped)

    async def __call__(self) -> T:
        return await self._flights(None, self._run)

    def begin(self) -> asyncio.Task[T]:
        """The run under way, or a new one, without waiting for it."""
        return self._flights.begin(None, self._run)

    @property
    def running(self) -> asyncio.Task[T] | None:
        return self._flights.running(None)

    async def close(self) -> None:
        await self._flights.close()
