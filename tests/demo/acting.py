"""The agents of the demo at work while a test looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pgjit.demo.console_act import ConsoleAct

__all__ = ["acting"]


@asynccontextmanager
async def acting(act: ConsoleAct) -> AsyncIterator[ConsoleAct]:
    """They must be at work still when the block is left."""
    task = asyncio.create_task(act.play())
    try:
        yield act
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
