"""When Python's cycle collector looks at which objects, in the process that serves sessions.

A full collection looks at every object of the process, with the event loop stopped: 200 ms with a catalog of a few
thousand tables. Almost everything here is freed by its reference count, and what lives long (modules, catalogs,
judgements, sessions) is in no garbage cycle while it lives. So:

- The collector never starts a full collection by itself.
- Once a second the survivors of the young generations are collected, then *frozen*: `gc.freeze` takes them out of the
  collector's sight. They are few, so this is short. A whole catalog that was read since is frozen without a look.
- A frozen object is still freed by its reference count. Only a cycle that became garbage after it was frozen stays.
  A full collection over everything finds it, when many objects were frozen since the last one: at a moment without
  clients, or at the latest when the frozen objects have doubled.

Decides these three. Does not know what the objects are.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

__all__ = ["CycleCollection"]

_log = logging.getLogger("pgjit.cycles")
_NEVER: Final = 1 << 30
_YOUNG: Final = 700
_MIDDLE: Final = 10
"""Python's thresholds: new objects until the youngest are looked at, and such looks until the middle ones are."""
_TICK_SECONDS: Final = 1.0
_FEW: Final = 8
"""Collections of the middle generation since the last freeze: each left at most `_YOUNG * _MIDDLE` survivors."""
_WHOLE_EVERY: Final = 60
"""Ticks between two questions whether everything should be looked at."""
_SLACK_IDLE: Final = 100_000
_SLACK: Final = 500_000
"""Frozen objects that may be added before a full collection: about 10 MB if no client is connected, else 50 MB."""


class CycleCollection:
    """`async with CycleCollection(idle).running():` collects while the block runs; afterwards, Python does."""

    def __init__(self, idle: Callable[[], bool]) -> None:
        """`idle`: whether a pause of the event loop disturbs nobody now."""
        self._idle = idle
        self._ticks = 0
        self._frozen = 0  # after the last full collection

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        before = gc.get_threshold()
        self.collect_all()
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
            await asyncio.sleep(_TICK_SECONDS)
            self.tick()

    def tick(self) -> None:
        """Collect and freeze what is new; now and then look at everything."""
        survived = gc.get_count()[2]
        if survived:
            if survived <= _FEW:
                gc.collect()
            gc.freeze()
        self._ticks += 1
        if self._ticks % _WHOLE_EVERY == 0:
            self._consider_all()

    def _consider_all(self) -> None:
        grown = gc.get_freeze_count() - self._frozen
        idle = self._idle()
        if grown <= (_SLACK_IDLE if idle else max(_SLACK, self._frozen)):
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
        self._frozen = gc.get_freeze_count()
        return found
