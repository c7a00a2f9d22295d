"""Waits for a moment of pgjit's own clock, which is not the event loop's."""

from __future__ import annotations

import asyncio

from pgjit.clock import Until

__all__ = ["wait_until"]

_TICK = 1.0
"""Longest sleep, so that a clock that is set forward is noticed within a second."""


async def wait_until(until: Until) -> None:
    """Return when the moment is reached."""
    # No event reports that the clock was set, so it is read at each tick.
    while (left := until.left.total_seconds()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left, _TICK))
