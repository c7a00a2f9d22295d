"""When Python's cycle collector looks at which objects, in the process that serves sessions.

A full collection looks at every object of the process, with the event loop stopped: 200 ms with a catalog of a few
thousand tables. Almost everything here is freed by its reference count, and what lives long (modules, catalogs,
judgements, sessions) is in no garbage cycle while it lives. So:

- The collector never starts a full collection by itself.
- Once a second the survivors of the young generations are collected, then *frozen*: `gc.freeze` takes them out of the
  collector's sight. They are few, so this is short. A whole catalog that was read since is frozen without a look,
  and so is what is new where many sessions have ended, or were given something new.
- A frozen object is still freed by its reference count. Only a cycle that became garbage after it was frozen stays.
  A full collection over everything finds it. It runs when memory has grown by more than the open sessions explain:
  at a moment without clients, or at the latest when it has doubled.

Decides these three. Does not know what the objects are.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

__all__ = ["CycleCollection", "freeze_replaced"]

_log = logging.getLogger("pgjit.cycles")
_NEVER: Final = 1 << 30
_YOUNG: Final = 700
_MIDDLE: Final = 4
"""Python's thresholds: new objects until the youngest are looked at, and such looks until the middle ones are."""
_TICK_SECONDS: Final = 1.0
_LOOKS: Final = 10
_MANY: Final = 32
"""After so many sessions that begin or end, what is new is frozen within a tenth of a tick. Python counts a freed
object as one new object less: while old ones are freed by the thousand, the young generation grows without a look."""
_FEW: Final = 2
"""Collections of the middle generation since the last freeze: each left at most `_YOUNG * _MIDDLE` survivors."""
_WHOLE_EVERY: Final = 60
"""Ticks between two questions whether everything should be looked at."""
_OF_A_SESSION: Final = 700
"""Blocks of memory that one session may keep. They are freed with it."""
_SLACK_IDLE: Final = 300_000
_SLACK: Final = 1_000_000
"""Blocks that may be added beside those before a full collection: about 20 MB if no client is connected, else 70 MB.
They are counted instead of the frozen objects, because to count those takes 100 ms for a million."""


def freeze_replaced(sessions: int) -> None:
    """Call this after something was replaced in so many sessions: if they are many, what is new is frozen.

    Each freed object lowers Python's count of new ones: the young generation would grow to tens of thousands of
    objects, and then be looked at in one long collection.
    """
    if sessions >= _MANY and gc.get_threshold()[2] == _NEVER:
        gc.freeze()


class CycleCollection:
    """`async with CycleCollection(sessions).running():` collects while the block runs; afterwards, Python does.

    `collect_all` is for the moment when all that lasts is there.
    """

    def __init__(self, sessions: Callable[[], int], allocated: Callable[[], int] = sys.getallocatedblocks) -> None:
        """`sessions`: how many there are now. Without one, a pause of the event loop disturbs nobody.

        `allocated`: how many blocks of memory the process has.
        """
        self._sessions = sessions
        self._allocated = allocated
        self._seen = 0  # how many sessions there were when what was new was frozen
        self._ticks = 0
        self._lasting = 0  # blocks after the last full collection, without those of the sessions

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        before = gc.get_threshold()
        gc.freeze()
        gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)
        task = asyncio.create_task(self._keep_collecting(), name="cycle collection")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            gc.set_threshold(*before)
            gc.unfreeze()

    async def _keep_collecting(self) -> None:
        while True:
            for _ in range(_LOOKS):
                await asyncio.sleep(_TICK_SECONDS / _LOOKS)
                if abs(self._sessions() - self._seen) >= _MANY:
                    self._freeze_new()
            self.tick()

    def tick(self) -> None:
        """Collect and freeze what is new; now and then look at everything."""
        if gc.get_count()[2]:
            self._freeze_new()
        self._ticks += 1
        if self._ticks % _WHOLE_EVERY == 0:
            self._consider_all()

    def _freeze_new(self) -> None:
        before, self._seen = self._seen, self._sessions()
        # Where many sessions have ended the counts say nothing: tens of thousands of objects may be new.
        if gc.get_count()[2] <= _FEW and before - self._seen < _MANY:
            gc.collect()
        gc.freeze()

    def _consider_all(self) -> None:
        idle = not self._sessions()
        if self._blocks() - self._lasting <= (_SLACK_IDLE if idle else max(_SLACK, self._lasting)):
            return
        began = time.thread_time()
        found = self.collect_all()
        if not idle:
            spent = 1000 * (time.thread_time() - began)
            _log.info("a full collection took %.0f ms and found %d objects in cycles", spent, found)

    def collect_all(self) -> int:
        """Look at every object, and freeze those that live. Returns how many were found in garbage cycles."""
        gc.unfreeze()
        found = gc.collect()
        gc.freeze()
        self._lasting = self._blocks()
        return found

    def _blocks(self) -> int:
        return self._allocated() - _OF_A_SESSION * self._sessions()
