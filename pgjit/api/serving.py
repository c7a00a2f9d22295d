"""An HTTP server in the program's own event loop: it stops when it is told to, and leaves signals to the program."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

__all__ = ["PromptServer"]

_TICK_SECONDS = 1.0


class PromptServer(uvicorn.Server):
    """`serving` is set when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()
        self._told = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._told.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    async def main_loop(self) -> None:
        """uvicorn's own looks ten times a second whether it should stop."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 10  # it counts tenths of a second
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._told.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
