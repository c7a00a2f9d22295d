"""How much work something is, counted: the same on every machine, however busy it is."""

from __future__ import annotations

import asyncio
import cProfile
import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Self

__all__ = ["Turns", "calls", "calls_async"]

_LOOKS = 0.005  # seconds between two sums of all calls, which take a good part of a millisecond


@contextmanager
def _counting() -> Iterator[Callable[[], int]]:
    """Collecting garbage calls nothing and takes long where a test holds a large catalog: not here."""
    profile = cProfile.Profile(subcalls=False)
    gc.disable()
    profile.enable()
    try:
        yield lambda: sum(int(entry.callcount) for entry in profile.getstats())
    finally:
        profile.disable()
        gc.enable()


def calls(work: Callable[[], object]) -> int:
    """How many functions are called in `work`: Python's own and those of C, a generator at each of its steps."""
    with _counting() as counted:
        work()
    return counted()


async def calls_async(work: Awaitable[object]) -> int:
    """The same, of this thread's event loop while `work` is awaited."""
    with _counting() as counted:
        await work
    return counted()


class Turns:
    """`with Turns() as turns:` the most calls that this thread made in one turn of its event loop, or in a few turns
    that followed each other at once."""

    def __init__(self) -> None:
        self.worst = 0
        self._before = 0
        self._profile = cProfile.Profile(subcalls=False)
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        calls = sum(entry.callcount for entry in self._profile.getstats())
        self.worst = max(self.worst, calls - self._before)
        # What is counted of these lines themselves is a few calls for each function that there was.
        self._before = calls
        self._next = self._loop.call_later(_LOOKS, self._turn)

    def __enter__(self) -> Self:
        self._profile.enable()
        return self

    def __exit__(self, *exc: object) -> None:
        self._profile.disable()
        self._next.cancel()
