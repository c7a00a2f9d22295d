"""Waits for a moment of pgjit's own clock, which is not the event loop's.

Thousands wait in one event loop: the windows, the sessions that end with their tokens, the notices before the ends.
"""

from __future__ import annotations

import asyncio

from pgjit.clock import Until
from pgjit.of_loop import OfLoop

__all__ = ["wait_until"]

_TICK = 1.0
"""Seconds between two looks, so that a clock that is set forward is noticed within a second."""


class _Waits:
    """The waits of one event loop. Each has a timer of its own.

    Nothing reports that the clock was set, so one further timer looks at all of them each second.
    """

    def __init__(self) -> None:
        self._untils: dict[asyncio.Future[None], Until] = {}
        self._looking: asyncio.TimerHandle | None = None

    async def wait(self, until: Until) -> None:
        loop = asyncio.get_running_loop()
        while (left := until.left.total_seconds()) > 0:
            reached: asyncio.Future[None] = loop.create_future()
            timer = loop.call_later(left, _reach, reached)
            self._untils[reached] = until
            if self._looking is None:
                self._looking = loop.call_later(_TICK, self._look)
            try:
                await reached
            finally:
                timer.cancel()
                del self._untils[reached]
                if not self._untils and self._looking is not None:
                    self._looking.cancel()
                    self._looking = None

    def _look(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(_TICK, self._look)  # first: whatever fails, it goes on
        for reached, until in self._untils.items():
            if until.passed:
                _reach(reached)


def _reach(reached: asyncio.Future[None]) -> None:
    if not reached.done():
        reached.set_result(None)


_waits = OfLoop(_Waits)


async def wait_until(until: Until) -> None:
    """Return when the moment is reached."""
    await _waits().wait(until)
