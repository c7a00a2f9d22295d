"""`pgjit` with a watch on its event loop: how late the loop was at most, for the measure of stalls.

    python tests/bench/watched.py FILE serve --config pgjit.yaml

A timer of the loop fires every ten milliseconds. FILE gets two figures whenever there is a new longest stall, in
milliseconds: by the clock, and the CPU time that the loop's thread used meanwhile. On a busy machine only the second
one is pgjit's own doing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["read_stall", "reset_stall"]

_PERIOD = 0.01
_SETTLED = 2.0
"""Seconds after the start that are not watched: nobody is connected yet."""
T = TypeVar("T")


def read_stall(file: Path) -> tuple[float, float]:
    """Milliseconds by the clock, and of CPU."""
    by_clock, cpu = file.read_text().split() or ("0", "0") if file.exists() else ("0", "0")
    return float(by_clock), float(cpu)


def reset_stall(file: Path) -> None:
    """The watch begins anew: it looks whether its file is still there."""
    file.unlink(missing_ok=True)


class _Watch:
    def __init__(self, file: str) -> None:
        self._file = file
        self._longest = self._most = 0.0
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + _SETTLED
        self._spent = 0.0
        self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        # Its own CPU counts as pgjit's: the watch has to be cheap, for it looks 100 times a second.
        now, spent = self._loop.time(), time.thread_time()
        late = now - self._due
        if not os.access(self._file, os.F_OK):
            self._longest = self._most = 0.0
        if late > self._most:  # which is never more than the longest by the clock
            used = min(late, spent - self._spent) if self._spent else 0.0
            if late > self._longest or used > self._most:
                self._longest, self._most = max(self._longest, late), max(self._most, used)
                self._write()
        self._due, self._spent = now + _PERIOD, spent
        self._loop.call_at(self._due, self._tick)

    def _write(self) -> None:
        # In one piece, and never shorter: a reader sees two whole figures at any time.
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(descriptor, f"{1000 * self._longest:12.1f} {1000 * self._most:12.1f}".encode(), 0)
        os.close(descriptor)


async def _watched(file: str, main: Coroutine[Any, Any, T]) -> T:
    watch = _Watch(file)
    try:
        return await main
    finally:
        del watch


def _main() -> None:
    from pgjit.cli import loop
    from pgjit.cli.run import run

    file, *arguments = sys.argv[1:]
    run_program = loop.run_program
    loop.run_program = lambda main: run_program(_watched(file, main))  # commands import it when they run
    sys.exit(run(arguments))


if __name__ == "__main__":
    _main()
