"""Runs a coroutine as the program: on uvloop, with SIGINT and SIGTERM as events."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run_program", "stop_signal", "stop_signals"]

T = TypeVar("T")


def run_program(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on uvloop; on Windows, which has no uvloop, on asyncio's own loop."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def stop_signal() -> asyncio.Event:
    """An event that SIGINT or SIGTERM sets."""
    stop, _ = stop_signals()
    return stop


def stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """The first SIGINT or SIGTERM sets the first event, a second signal both."""
    stop, at_once = asyncio.Event(), asyncio.Event()

    def received() -> None:
        (at_once if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, received)
    return stop, at_once
