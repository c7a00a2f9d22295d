"""Waiting for a moment of pgjit's own clock, which no event loop knows."""

from __future__ import annotations

import asyncio

from pgjit.clock import Until

__all__ = ["reached"]

_TICK = 1.0
"""Longest sleep: a clock that is set forward is noticed within a second."""


async def reached(until: Until) -> None:
    """Return when the moment has come."""
    # Asked of our own clock each time: no event tells when that one has moved.
    while (left := until.left.total_seconds()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left, _TICK))
