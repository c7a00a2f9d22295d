"""How much work something is, counted: the same on every machine, however busy it is."""

from __future__ import annotations

import cProfile
import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

__all__ = ["calls", "calls_async"]


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
