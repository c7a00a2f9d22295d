"""What a session waits for at the journal: the disk, and at the end the records that could not be written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pgjit.audit.journal import Journal
from pgjit.errors import JournalUnavailable

__all__ = ["flushed", "settled"]

_SETTLE_SECONDS = 5.0


async def flushed(journal: Journal, then: Callable[[bool], None]) -> None:
    """Call `then` with whether all that was written before is on the disk."""
    try:
        await journal.flush()
    except JournalUnavailable:
        then(False)
    else:
        then(True)


async def settled(left: Callable[[], bool], write: Callable[[], None]) -> None:
    """Try again and again to `write` what is `left`. Raises JournalUnavailable."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _SETTLE_SECONDS
    while left() and loop.time() < until:
        await asyncio.sleep(0.1)
        write()
    if left():
        raise JournalUnavailable(fatal=True)
