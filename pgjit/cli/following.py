"""Prints something again while it changes: `--watch`, and `request --wait`.

Decides how often the API is asked, how a terminal is redrawn, and that an API that is away for a moment ends neither.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from pgjit.cli.api_client import ApiProblem, ApiUnreachable, Item
from pgjit.clock import Clock
from pgjit.errors import PgjitError

__all__ = ["Progress", "await_change", "watch"]

_SECONDS: Final = 2.0
_TOO_MANY_CALLS: Final = 429
pause = time.sleep


def watch(draw: Callable[[], str], wait: Callable[[], object]) -> None:
    """Print `draw()` when it changes, until Ctrl-C. The first call's error is raised; later ones are shown.

    `wait` returns when it may have changed.
    """
    text = draw()
    shown = ""
    terminal = sys.stdout.isatty()
    try:
        while True:
            if text != shown:
                print(f"\x1b[H\x1b[2J{text}" if terminal else text, flush=True)
                shown = text
            wait()
            try:
                text = draw()
            except PgjitError as fault:
                if not _passes(fault):
                    raise
                print(f"{fault.message}; trying again", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        return


def await_change(
    fetch: Callable[[], Item], is_done: Callable[[Item], bool], longest: timedelta, progress: Progress, clock: Clock
) -> Item | None:
    """What `fetch` returns when it is done; None when `longest` is over before."""
    until = clock.until(clock() + longest)
    while True:
        try:
            item = fetch()
            if is_done(item):
                return item
            progress.show(str(item.get("state")), until.left)
        except PgjitError as fault:
            if not _passes(fault):
                raise
            progress.show(fault.message, until.left)
        if until.passed:
            return None
        pause(min(_SECONDS, max(until.left.total_seconds(), 0.05)))


class Progress:
    """One line on standard error: redrawn on a terminal, else printed when it says something new."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._last = ""
        self._terminal = sys.stderr.isatty()

    def show(self, state: str, left: timedelta) -> None:
        if self._terminal:
            seconds = max(0, int(left.total_seconds()))
            line = f"{self._subject}: {state}, waiting for {seconds // 60}:{seconds % 60:02} more"
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{line[:width]}", end="", file=sys.stderr, flush=True)
        elif state != self._last:
            print(f"{self._subject}: {state}, waiting", file=sys.stderr, flush=True)
        self._last = state

    def end(self) -> None:
        if self._terminal and self._last:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _passes(fault: PgjitError) -> bool:
    """Whether the fault may be over at the next call."""
    return isinstance(fault, ApiUnreachable) or (
        isinstance(fault, ApiProblem) and fault.http_status == _TOO_MANY_CALLS
    )
