"""The leases of this node: how much of each window's budget it may spend without asking the store.

Decides when more is leased and when a lease is given back. `grants/lease.py` decides how much. A store that only
this node uses needs no leases.

INVARIANT: while a session is within its lease, no statement and no row waits for the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context

from pgjit.errors import PgjitError
from pgjit.grants.fleet_store import FleetStore
from pgjit.grants.lease import RESOURCES, budget_of, share_of
from pgjit.grants.usage import LeasedUsage, Usage
from pgjit.policy.policy import Limits

__all__ = ["Leases", "WindowLease"]

_log = logging.getLogger("pgjit.fleet")
_AGAIN_SECONDS = 1.0
"""A lease that could not be extended is asked for again only after this: a spent budget costs no store call each."""


class WindowLease:
    """The lease of one window; all its sessions on this node spend it."""

    def __init__(self, window_id: str, store: FleetStore, limits: Limits, steady: Callable[[], float]) -> None:
        self.usage = LeasedUsage()
        self._window_id = window_id
        self._store = store
        self.limits = limits
        self._steady = steady
        self._elsewhere = Usage()  # as counted in `usage`
        self._granted = Usage()
        self._busy = asyncio.Lock()
        self._not_before = 0.0
        self._renewal: asyncio.Task[None] | None = None

    def covers(self, *, rows: int = 0, size: int = 0, statements: int = 0) -> bool:
        """Whether so much may be counted now. If little is left, more is leased in the background."""
        need = Usage(rows, size, statements)
        short = [each for each in RESOURCES if self._left(each) < getattr(need, each)]
        if short:
            return self._steady() < self._not_before  # in vain a moment ago: the limit applies as it is
        if any(map(self._is_low, RESOURCES)) and self._renewal is None and self._steady() >= self._not_before:
            self._renewal = asyncio.create_task(self.extend(), context=Context())
            self._renewal.add_done_callback(lambda _: setattr(self, "_renewal", None))
        return True

    async def extend(self, *, rows: int = 0, size: int = 0, statements: int = 0) -> None:
        """Lease more; at least so much, if so much is free. Without the store, nothing more is leased."""
        need = Usage(rows, size, statements)
        async with self._busy:
            if all(self._left(each) >= getattr(need, each) for each in RESOURCES) and any(
                getattr(need, each) for each in RESOURCES
            ):
                return  # another session has leased it meanwhile
            try:
                lease = await self._store.extend_lease(self._window_id, self.limits, self._spent(), need)
            except PgjitError as fault:
                _log.error("no more of the budget of window %s is leased: %s", self._window_id, fault.message)
                self._not_before = self._steady() + _AGAIN_SECONDS
                return
            for each in RESOURCES:
                elsewhere = getattr(lease.settled, each) + getattr(lease.others, each)
                counted = getattr(self.usage, each) + elsewhere - getattr(self._elsewhere, each)
                setattr(self.usage, each, counted)
                setattr(self._elsewhere, each, elsewhere)
                setattr(self.usage.most, each, elsewhere + getattr(lease.granted, each))
            self.usage.others, self._granted = lease.others, lease.granted
            # Little may be left although more is free: other sessions go on spending while the store answers.
            spent = [each for each in RESOURCES if self._limited(each) and lease.free(self.limits, each) <= 0]
            if any(self._left(each) < getattr(need, each) or self._is_low(each) for each in spent):
                self._not_before = self._steady() + _AGAIN_SECONDS

    async def give_back(self) -> None:
        """No session is left: what was not spent is free for other nodes. Raises ServerUnavailable."""
        async with self._busy:
            if self._granted == Usage():
                return
            most, spent = self.usage.most, self._spent()
            # From now on nothing can be spent without a new lease.
            self.usage.most = Usage(self.usage.rows, self.usage.bytes, self.usage.statements)
            try:
                await self._store.give_lease_back(self._window_id, spent)
            except PgjitError:
                self.usage.most = most
                raise
            for each in RESOURCES:
                setattr(self._elsewhere, each, getattr(self._elsewhere, each) + getattr(spent, each))
            self._granted = Usage()
            self._not_before = 0.0

    def _budget(self, resource: str) -> int:
        return budget_of(self.limits, resource) or 0

    def _limited(self, resource: str) -> bool:
        return budget_of(self.limits, resource) is not None

    def _is_low(self, resource: str) -> bool:
        return self._limited(resource) and self._left(resource) < share_of(self._budget(resource)) / 2

    def _left(self, resource: str) -> int:
        if not self._limited(resource):
            return 1 << 62
        left: int = getattr(self.usage.most, resource) - getattr(self.usage, resource)
        return left

    def _spent(self) -> Usage:
        return Usage(**{each: getattr(self.usage, each) - getattr(self._elsewhere, each) for each in RESOURCES})


class Leases:
    def __init__(self, store: FleetStore, steady: Callable[[], float]) -> None:
        self._store = store
        self._steady = steady
        self._held: dict[str, WindowLease] = {}

    def of(self, window_id: str) -> WindowLease | None:
        return self._held.get(window_id)

    async def take(self, window_id: str, limits: Limits) -> None:
        """The first lease of a window, before its first session: it knows then what other nodes have used."""
        if not self._store.shared or not limits.of_window:
            return
        lease = self._held.get(window_id)
        if lease is None:
            lease = self._held[window_id] = WindowLease(window_id, self._store, limits, self._steady)
        lease.limits = limits  # the policy may have changed since
        if not lease.covers(statements=1):
            await lease.extend()

    async def give_back_unused(self, in_use: Callable[[str], bool]) -> None:
        """Give back the leases of windows without a session; a failure is tried again."""
        for window_id, lease in list(self._held.items()):
            if in_use(window_id):
                continue
            try:
                await lease.give_back()
            except PgjitError as fault:
                _log.error("the lease of window %s is not given back yet: %s", window_id, fault.message)

    async def forget(self, window_id: str) -> None:
        """The window is over."""
        lease = self._held.pop(window_id, None)
        if lease is not None:
            try:
                await lease.give_back()
            except PgjitError as fault:
                _log.error("the lease of window %s counts as spent: %s", window_id, fault.message)
