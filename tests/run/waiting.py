"""Waits for what another process or task is about to do: looks again and again, for so long at most.

Looking costs: a connection to a server, or a journal that is read anew. The pauses grow with what was waited already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

__all__ = ["a_while", "until", "until_it_holds"]

_T = TypeVar("_T")
_SHORTEST, _GROWTH, _LONGEST = 0.01, 1.3, 0.25
_SECONDS = 60.0


def _pauses() -> Iterator[float]:
    pause = _SHORTEST
    while True:
        yield pause
        pause = min(_GROWTH * pause, _LONGEST)


async def until(found: Callable[[], _T], seconds: float = _SECONDS) -> _T:
    """The first answer of `found` that is not empty; TimeoutError after `seconds`."""
    pauses = _pauses()
    async with asyncio.timeout(seconds):
        while not (answer := found()):
            await asyncio.sleep(next(pauses))
        return answer


async def until_it_holds(asked: Callable[[], Awaitable[_T]], seconds: float = _SECONDS) -> _T:
    """The same, where the question is awaited."""
    pauses = _pauses()
    async with asyncio.timeout(seconds):
        while not (answer := await asked()):
            await asyncio.sleep(next(pauses))
        return answer


async def a_while(seconds: float) -> None:
    """So long has what must not happen to happen. A slow machine finds less, and fails nothing that is right."""
    await asyncio.sleep(seconds)
