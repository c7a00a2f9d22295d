"""What has been used of the budgets of windows, where this node alone counts it. It is saved every few seconds.

Decides what is saved. Where several nodes share a store, `leases.py` counts.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from pgjit.errors import PgjitError
from pgjit.grants.store import Store
from pgjit.grants.usage import Usage

__all__ = ["WindowUsages"]

_log = logging.getLogger("pgjit.windows")


class WindowUsages:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._usages: dict[str, Usage] = {}
        self._saved: dict[str, Usage] = {}

    async def load(self, window_id: str) -> None:
        """Have what an earlier process counted. Raises ServerUnavailable."""
        if window_id not in self._usages:
            usage = await self._store.usage(window_id)
            self._usages.setdefault(window_id, usage)

    def of(self, window_id: str) -> Usage:
        return self._usages.setdefault(window_id, Usage())

    async def forget(self, window_id: str) -> None:
        """The window is over: what its sessions used last is saved, for whoever looks at it later."""
        await self._save_one(window_id)
        self._usages.pop(window_id, None)
        self._saved.pop(window_id, None)

    async def save(self) -> None:
        """Save what has changed: after a restart a window keeps its usage, except that of the last moments."""
        for window_id in list(self._usages):
            if not await self._save_one(window_id):
                return

    async def _save_one(self, window_id: str) -> bool:
        """Save what has changed; False if the store cannot take it."""
        current = replace(self._usages.get(window_id, Usage()))
        if current == self._saved.get(window_id, Usage()):
            return True
        try:
            await self._store.note_usage(window_id, current)
        except PgjitError as fault:
            _log.error("the usage of window %s is not saved yet: %s", window_id, fault.message)
            return False
        if window_id in self._usages:  # it may have been forgotten meanwhile
            self._saved[window_id] = current
        return True
