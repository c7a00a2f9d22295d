"""Waits for what another process or task is about to do: looks again and again, for so long at most."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["a_while", "until", "until_it_holds"]

_T = TypeVar("_T")
_EVERY = 0.01
_SECONDS = 60.0


async def until(found: Callable[[], _T], seconds: float = _SECONDS) -> _T:
    """The first answer of `found` that is not empty; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not (answer := found()):
            await asyncio.sleep(_EVERY)
        return answer


async def until_it_holds(asked: Callable[[], Awaitable[_T]], seconds: float = _SECONDS) -> _T:
    """The same, where the question is awaited."""
    async with asyncio.timeout(seconds):
        while not (answer := await asked()):
            await asyncio.sleep(_EVERY)
        return answer


async def a_while(seconds: float) -> None:
    """So long has what must not happen to happen. A slow machine finds less, and fails nothing that is right."""
    await asyncio.sleep(seconds)
