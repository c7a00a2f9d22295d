"""Waiting for the next change of a store: a number that grows, and those who wait for it. In one event loop."""

from __future__ import annotations

import asyncio

__all__ = ["Changes"]


class Changes:
    def __init__(self) -> None:
        self._number = 1
        self._next = asyncio.Event()

    def notify(self) -> None:
        self._number += 1
        self._next.set()
        self._next = asyncio.Event()

    async def after(self, seen: int, seconds: float) -> int:
        """Return as soon as the number is another than `seen`, or after so many seconds; returns the number."""
        if self._number == seen:
            try:
                async with asyncio.timeout(seconds):
                    await self._next.wait()
            except TimeoutError:
                return self._number
        return self._number
