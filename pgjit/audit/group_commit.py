"""Group commit: the records that come in one turn of the event loop are written at once.

Decides when they are written, and in which order those who wait are called: in that of `add`. Records that nothing
waits for go with the next write, or after some milliseconds. A write that fails fails for all who share it. Does not
know how records are written, nor what happens after them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from pgjit.audit.event import Event
from pgjit.loop_turn import at_end_of_turn

__all__ = ["GroupCommit"]

_log = logging.getLogger("pgjit.journal")
_Done = Callable[[int | None], None]
_LATEST = 0.005
"""After so many seconds records are written that no other write has taken along."""


class GroupCommit:
    def __init__(self, write: Callable[[Sequence[Sequence[Event]]], list[int | None]]) -> None:
        """`write` returns the size of each batch, and None for one that was not written. It does not raise."""
        self._write = write
        self._batches: list[Sequence[Event]] = []
        self._waiting: list[_Done] = []  # one for each batch
        self._written: deque[tuple[_Done, int | None]] = deque()  # those to be called
        self._calling = False
        self._planned = False
        self._timed = False

    def add(self, events: Sequence[Event], done: _Done, *, soon: bool = True) -> None:
        """Write `events` at the end of this turn, or earlier. Then `done` is called; it must not block.

        Not `soon`: they wait for the next write, but not for long.
        """
        self._batches.append(events)
        self._waiting.append(done)
        if not soon:
            if not self._timed:
                self._timed = True
                asyncio.get_running_loop().call_later(_LATEST, self._on_timer)
        elif not self._planned:
            self._planned = True
            at_end_of_turn(self._end_turn)

    def write(self) -> None:
        """Write what waits now."""
        if self._waiting:
            batches, waiting = self._batches, self._waiting
            self._batches, self._waiting = [], []
            self._written.extend(zip(waiting, self._sizes(batches), strict=True))
        if self._calling:
            return  # further up: the order is kept
        self._calling = True
        try:
            while self._written:
                done, size = self._written.popleft()
                try:
                    done(size)
                except Exception:  # noqa: BLE001 - the others are called all the same
                    _log.exception("what follows a record failed")
        finally:
            self._calling = False

    def _sizes(self, batches: Sequence[Sequence[Event]]) -> list[int | None]:
        try:
            return self._write(batches)
        except Exception:  # noqa: BLE001 - a session that is never called would wait for ever
            _log.exception("records were not written")
            return [None] * len(batches)

    def _on_timer(self) -> None:
        self._timed = False
        self.write()

    def _end_turn(self) -> None:
        self._planned = False
        self.write()
