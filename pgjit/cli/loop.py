"""Runs a coroutine as the program: on uvloop, with SIGINT and SIGTERM as events."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

__all__ = ["Hangups", "entered_unless", "run_program", "stop_signal", "stop_signals"]

T = TypeVar("T")


def run_program(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on uvloop; on Windows, which has no uvloop, on asyncio's own loop."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


class Hangups:
    """SIGHUP, from now on: it reloads the configuration, and ends nothing. One that comes early is not lost."""

    def __init__(self) -> None:
        self._came = False
        self._event: asyncio.Event | None = None
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda *_: self._note())

    def _note(self) -> None:
        self._came = True
        if self._event is not None:
            self._event.set()

    @asynccontextmanager
    async def handled(self, work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
        """While the block runs, do `work` after each SIGHUP; for several that came meanwhile, once."""
        handling = asyncio.create_task(self._handle(work), name="SIGHUP")
        try:
            yield
        finally:
            handling.cancel()
            await asyncio.gather(handling, return_exceptions=True)

    async def _handle(self, work: Callable[[], Awaitable[object]]) -> None:
        event = self._event = asyncio.Event()
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._note)
        while True:
            if not self._came:
                event.clear()
                await event.wait()
            self._came = False
            await work()


def stop_signal() -> asyncio.Event:
    """An event that SIGINT or SIGTERM sets."""
    stop, _ = stop_signals()
    return stop


async def entered_unless(
    stop: asyncio.Event, stack: AsyncExitStack, part: AbstractAsyncContextManager[object]
) -> bool:
    """Enter `part` into `stack`. False if `stop` was set first: what had been started is stopped again."""
    entering, entered = asyncio.current_task(), False
    assert entering is not None

    async def give_up() -> None:
        await stop.wait()
        if not entered:
            entering.cancel()

    watching = asyncio.create_task(give_up())
    try:
        await stack.enter_async_context(part)
        entered = True
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
        entering.uncancel()
    finally:
        watching.cancel()
    return entered


def stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """The first SIGINT or SIGTERM sets the first event, a second signal both."""
    stop, at_once = asyncio.Event(), asyncio.Event()

    def received() -> None:
        (at_once if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, received)
    return stop, at_once
