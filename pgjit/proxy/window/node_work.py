"""What this node does for the fleet: it ends its own sessions, and what dead nodes left.

Decides which parts carry it out. `fleet_node.py` decides when.
"""

from __future__ import annotations

import asyncio
import logging

from pgjit.audit.event import PolicyDiffers
from pgjit.audit.journal import Journal
from pgjit.clock import Clock
from pgjit.errors import JournalUnavailable
from pgjit.grants.node import Node
from pgjit.grants.window import Window
from pgjit.proxy.ends import end_sessions
from pgjit.proxy.registry import Registry
from pgjit.proxy.window.kept_backends import KeptBackends
from pgjit.proxy.window.windows import Windows

__all__ = ["NodeWork"]

_log = logging.getLogger("pgjit.fleet")


class NodeWork:
    def __init__(
        self,
        windows: Windows,
        kept_backends: KeptBackends,
        registry: Registry,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._windows = windows
        self._kept_backends = kept_backends
        self._registry = registry
        self._journal = journal
        self._clock = clock
        self._ending: set[asyncio.Task[None]] = set()

    async def adopt(self, windows: list[Window]) -> None:
        # The backends first: a window's end waits for those that are known.
        await self._kept_backends.adopt({window.id: window for window in windows}, self._registry)
        for window in windows:
            reason = "ttl" if window.revoked_at is None else "revoked"
            self._windows.end_now(window, window.ending_reason or reason, window.revoke_reason)

    async def take_over(self, windows: list[Window]) -> None:
        await self._kept_backends.adopt({window.id: window for window in windows}, self._registry)
        for window in windows:
            self._windows.take_over(window)

    def end_sessions(self, reason: str) -> None:
        task = asyncio.create_task(end_sessions(list(self._registry), reason))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def differs(self, node: Node, policy: str, version: str) -> None:
        event = PolicyDiffers(
            at=self._clock(),
            policy=policy,
            policy_version=version,
            node=node.name,
            version_there=node.policies[policy],
        )
        try:
            self._journal.append([event])
        except JournalUnavailable:
            _log.error("that node %s has another policy %s is not in the journal", node.name, policy)
