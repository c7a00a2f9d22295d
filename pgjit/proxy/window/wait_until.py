"""Waits for a moment of pgjit's own clock, which is not the event loop's.

Thousands wait in one event loop: the windows, the sessions that end with their tokens, the notices before the ends.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from pgjit.clock import Until

__all__ = ["wait_until"]

_TICK = 1.0
"""Seconds between two looks, so that a clock that is set forward is noticed within a second."""


class _Waits:
    """Those of one event loop. Each has its timer. No event reports that the clock was set: one more looks at all."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._untils: dict[asyncio.Future[None], Until] = {}
        self._looking: asyncio.TimerHandle | None = None

    async def wait(self, until: Until) -> None:
        while (left := until.left.total_seconds()) > 0:
            reached: asyncio.Future[None] = self.loop.create_future()
            timer = self.loop.call_later(left, _reach, reached)
            self._untils[reached] = until
            if self._looking is None:
                self._looking = self.loop.call_later(_TICK, self._look)
            try:
                await reached
            finally:
                timer.cancel()
                del self._untils[reached]
                if not self._untils and self._looking is not None:
                    self._looking.cancel()
                    self._looking = None

    def _look(self) -> None:
        for reached, until in self._untils.items():
            if until.passed:
                _reach(reached)
        self._looking = self.loop.call_later(_TICK, self._look)


def _reach(reached: asyncio.Future[None]) -> None:
    if not reached.done():
        reached.set_result(None)


_here: Final = threading.local()  # `waits`: those of the loop that runs in this thread


async def wait_until(until: Until) -> None:
    """Return when the moment is reached."""
    loop = asyncio.get_running_loop()
    waits: _Waits | None = getattr(_here, "waits", None)
    if waits is None or waits.loop is not loop:
        waits = _here.waits = _Waits(loop)
    await waits.wait(until)
