"""The questions of one caller are answered one by one, where an answer takes a process of its own and a while.

All callers share a queue for such answers. A caller has one place in it: who asks many things at once, or things that
take long, waits for the own answers, and others get theirs in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from pgjit.api.refusals import TooManyCalls
from pgjit.grants.holder import HolderKey

__all__ = ["CallerTurns"]

_MOST: Final = 5
_AGAIN_SECONDS: Final = 5


@dataclass(slots=True)
class _Asking:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    count: int = 0


class CallerTurns:
    def __init__(self) -> None:
        self._asking: dict[HolderKey, _Asking] = {}

    @asynccontextmanager
    async def turn(self, caller: HolderKey) -> AsyncIterator[None]:
        """Wait for the answers that the caller asked for before. Raises TooManyCalls for a sixth question."""
        asking = self._asking.setdefault(caller, _Asking())
        if asking.count >= _MOST:
            raise TooManyCalls(_AGAIN_SECONDS)
        asking.count += 1
        try:
            async with asking.turn:
                yield
        finally:
            asking.count -= 1
            if not asking.count:
                del self._asking[caller]
