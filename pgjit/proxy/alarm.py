"""Waiting for a moment of pgjit's own clock, which no event loop knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

__all__ = ["reached"]

_TICK = 1.0
"""Longest sleep: a clock that is set forward is noticed within a second."""


async def reached(clock: Callable[[], datetime], moment: datetime) -> None:
    """Return when `clock` says `moment` or later."""
    # Asked of our own clock each time: no event tells when that one has moved.
    while (left := (moment - clock()) / timedelta(seconds=1)) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left, _TICK))
