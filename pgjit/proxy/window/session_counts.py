"""How many sessions this node has under a policy that limits them, for the other nodes. The store adds them up.

INVARIANT: the store has a node's counts in the order in which they were true, or one that is too high. A count that
is too high refuses a session on another node, and never lets one too many in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from pgjit.errors import PgjitError
from pgjit.grants.store import Store
from pgjit.grants.window import Window
from pgjit.policy.policy import Policy

__all__ = ["SessionCounts"]

_log = logging.getLogger("pgjit.fleet")


class SessionCounts:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._counting = asyncio.Lock()

    def needed(self, policy: Policy) -> bool:
        return policy.limits.sessions is not None and self._store.shared

    @asynccontextmanager
    async def in_order(self, policy: Policy) -> AsyncIterator[None]:
        """A login reports its count inside this block."""
        if not self.needed(policy):
            yield
            return
        async with self._counting:
            yield

    async def report(self, windows: Iterable[Window], sessions: Callable[[], int]) -> None:
        """There are fewer sessions in these windows. A failure leaves a count that is too high."""
        for window in windows:
            try:
                async with self._counting:
                    await self._store.note_sessions(window.id, sessions())
            except PgjitError as fault:
                _log.error("the sessions of window %s are not counted yet: %s", window.id, fault.message)
