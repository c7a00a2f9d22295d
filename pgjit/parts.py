"""Parts of a program: started in a fixed order, stopped in the reverse one.

Decides that what was started is stopped, whatever fails. Does not know what the parts are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack

__all__ = ["Parts"]

_log = logging.getLogger("pgjit.parts")


class Parts:
    """`parts`, in the order of their start: what is entered to start each, and left to stop it."""

    def __init__(self, parts: Mapping[str, Callable[[], AbstractAsyncContextManager[None]]]) -> None:
        self._parts = parts
        self._stack = AsyncExitStack()
        self.started: list[str] = []

    async def start(self) -> None:
        """Raises what a part raises, with a note that names the part; those that were started are stopped first."""
        for name, part in self._parts.items():
            try:
                await self._stack.enter_async_context(part())
            except BaseException as fault:
                fault.add_note(f"while starting: {name}")
                await self.stop()
                raise
            self.started.append(name)
            _log.debug("started: %s", name)

    async def stop(self) -> None:
        """Stop every part that was started. One that fails keeps no other from it; its error is raised then."""
        self.started.clear()
        await self._stack.aclose()
