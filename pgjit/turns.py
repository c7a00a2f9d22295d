"""A few at a time: how the work of many sessions shares the event loop when they begin or end at once.

A window's end, a kill or a lost server ends thousands of sessions in the same moment. If all of their work was done
in one turn of the loop, every other session would wait for the last of them. Decides how much is done in a turn, and
in which order: as much as keeps the turn short, what ends a session first, otherwise as it came.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, TypeVar

from pgjit.of_loop import OfLoop

__all__ = ["Turns", "call_in_turn", "in_pieces", "take_turn"]

T = TypeVar("T")

_LEAST: Final = 4
_FIRST: Final = 8
_MOST: Final = 32
"""Pieces of work in one turn: at least, at first, and at most. The least keeps ends punctual where other work makes
the turns long."""
_LONG: Final = 0.010
_SHORT: Final = 0.005
"""Seconds of CPU of a turn: after a longer one less is done, after a shorter one more."""


class Turns:
    """Those of one event loop. `cpu`: the seconds of CPU that its thread has used."""

    def __init__(self, cpu: Callable[[], float] = time.thread_time) -> None:
        self._cpu = cpu
        self._most = _FIRST
        self._left = _FIRST  # of this turn
        self._ends: deque[Callable[[], object]] = deque()
        self._waiting: deque[Callable[[], object]] = deque()
        self._renewing = False
        self._began: float | None = None  # this turn, where work waited for it

    async def take(self, *, ends: bool = False) -> None:
        """Return in this turn of the loop if little was done in it, else in a later one.

        `ends`: it ends a session, and comes before all that does not.
        """
        waiting = self._ends if ends else self._waiting
        if not self._has_room(waiting):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting.append(lambda: _come(turn))
            await turn

    def call(self, work: Callable[[], object]) -> None:
        """Call `work`, which ends a session, now if little was done in this turn, else in a later one."""
        if self._has_room(self._ends):
            work()
        else:
            self._ends.append(work)

    def _has_room(self, waiting: deque[Callable[[], object]]) -> bool:
        self._renew_soon()
        if waiting or not self._left:
            return False
        self._left -= 1
        return True

    def _renew_soon(self) -> None:
        if not self._renewing:
            self._renewing = True
            asyncio.get_running_loop().call_soon(self._renew)

    def _renew(self) -> None:
        self._renewing = False
        self._adapt()
        ready: list[Callable[[], object]] = []
        for waiting in (self._ends, self._waiting):
            ready += [waiting.popleft() for _ in range(min(self._most - len(ready), len(waiting)))]
        self._left = self._most - len(ready)
        if ready:
            self._renew_soon()
        for work in ready:
            try:
                work()
            except Exception as fault:  # noqa: BLE001 - the others do theirs all the same
                context = {"message": "work that had waited for its turn has failed", "exception": fault}
                asyncio.get_running_loop().call_exception_handler(context)

    def _adapt(self) -> None:
        if not self._ends and not self._waiting:
            self._began = None
            return
        before, self._began = self._began, self._cpu()
        if before is None:
            return
        if self._began - before > _LONG:
            self._most = max(_LEAST, self._most // 2)
        elif self._began - before < _SHORT:
            self._most = min(_MOST, self._most + 1)


def _come(turn: asyncio.Future[None]) -> None:
    if not turn.done():  # else its task was cancelled
        turn.set_result(None)


_turns = OfLoop(Turns)


async def take_turn(*, ends: bool = False) -> None:
    """Wait until this task may go on with work of up to a millisecond: at once, unless many others do.

    `ends`: it ends a session, and comes before all that does not. Strangers' handshakes must not put off an end.
    """
    await _turns().take(ends=ends)


def call_in_turn(work: Callable[[], object]) -> None:
    """Do `work` of up to a millisecond that ends a session: at once, unless many others do."""
    _turns().call(work)


async def in_pieces(items: Iterable[T], size: int = 20) -> AsyncIterator[T]:
    """The items one by one; all others get the event loop after each `size` of them.

    It waits for no turn: for what strangers that log in must not put off.
    """
    for number, item in enumerate(items, 1):
        yield item
        if number % size == 0:
            await asyncio.sleep(0)
