"""Revocations, locks and killed sessions: keeps the orders of people in the store, and enforces them on this node.

Enforcement is by state: it reads the standing orders of the store, compares them with the open windows and live
sessions of this node, and ends what has to end. It runs after each order that was given here, when the store reports
a change, and each second. So a lost report costs a second and nothing else, and an order of another node is enforced
like one of this node. Does not decide who may give an order, nor how a session is stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Container, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from pgjit.clock import Clock
from pgjit.errors import PgjitError
from pgjit.grants.actor import Actor
from pgjit.grants.lock import Lock, matching_lock
from pgjit.grants.reviewers import own_keys
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.standing_orders import SessionKill
from pgjit.grants.store import Store
from pgjit.grants.window import Window
from pgjit.proxy.registry import RegisteredSession, Registry
from pgjit.proxy.window.windows import Windows
from pgjit.random_id import random_id
from pgjit.turns import in_pieces

__all__ = ["Revocations"]

_log = logging.getLogger("pgjit.windows")
_EVERY_SECONDS = 1.0
_KEPT_AFTER = timedelta(seconds=30)
"""How long an order to end a session is kept that no node is known to have. A new session is stored a little late."""


class Revocations:
    def __init__(self, store: Store, windows: Windows, registry: Registry, clock: Clock) -> None:
        self._store = store
        self._windows = windows
        self._registry = registry
        self._clock = clock
        self._changed = asyncio.Event()
        self._killing: dict[str, asyncio.Task[None]] = {}  # by session
        self._ending: dict[str, asyncio.Task[None]] = {}  # sessions of locked programs
        self._failing = False

    # --- orders ----------------------------------------------------------------------------------------

    async def revoke(self, scope: Scope, reason: str, by: Actor) -> list[Window]:
        """Revoke the open windows in the scope; returns those that this call revoked. Raises ServerUnavailable.

        The sessions of this node are being ended when this returns.
        """
        revoked = await self._store.revoke(scope, by, reason, self._clock())
        async for window in in_pieces(revoked):
            if self._windows.is_open(window.id):
                self._windows.end_now(window, "revoked", window.revoke_reason)
        self.wake()
        return revoked

    async def kill(self, session_id: str, reason: str, by: Actor) -> bool:
        """End one session of any node; False if no node has it. Raises ServerUnavailable."""
        if self._registry.get(session_id) is None and session_id not in await self._stored_sessions():
            return False
        kill = SessionKill(session_id=session_id, reason=reason, by=by, at=self._clock())
        await self._store.kill_session(kill)
        self._kill(kill)
        self.wake()
        return True

    async def lock(self, scope: Scope, reason: str, by: Actor, until: datetime | None = None) -> Lock:
        """Nothing opens in the scope, and what is open ends. Raises ServerUnavailable."""
        lock = Lock(id=f"l_{random_id()}", scope=scope, reason=reason, set_by=by, set_at=self._clock(), until=until)
        await self._store.set_lock(lock)
        await self._end_locked((lock,))
        self.wake()
        return lock

    async def unlock(self, lock_id: str, reason: str, by: Actor) -> Lock | None:
        """Lift a lock; None if there is none of this id in force. Raises ServerUnavailable."""
        return await self._store.lift_lock(lock_id, by, reason, self._clock())

    # --- enforcement -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def enforced(self) -> AsyncIterator[None]:
        """Enforce the standing orders while the block runs."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            tasks = [watching, *self._killing.values(), *self._ending.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self) -> None:
        """Enforce soon: the store has changed."""
        self._changed.set()

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self.enforce()
            except PgjitError as fault:
                if not self._failing:
                    _log.error("revocations and locks cannot be read from the store: %s", fault.message)
                self._failing = True
            except Exception:  # noqa: BLE001 - INVARIANT: enforcement is never given up, whatever fails in a round
                _log.exception("revocations and locks were not enforced")
            else:
                if self._failing:
                    _log.warning("revocations and locks are read from the store again")
                self._failing = False
            try:
                await asyncio.wait_for(self._changed.wait(), _EVERY_SECONDS)
            except TimeoutError:
                continue

    async def enforce(self) -> None:
        """End what the standing orders say, on this node. Raises ServerUnavailable."""
        orders = await self._store.standing_orders(self._clock())
        await self._end_locked(orders.locks)
        await self._end_revoked()
        for kill in orders.kills:
            self._kill(kill)
        await self._drop_old(orders.kills)

    async def _end_locked(self, locks: Sequence[Lock]) -> None:
        if not locks:
            return
        now, left = self._clock(), set[str]()
        async for window in in_pieces(self._windows.live()):
            lock = matching_lock(locks, window.identity, window.policy, window.connection, now, window.programs)
            if lock is None:
                left.add(window.id)
            elif self._windows.is_open(window.id):  # it may have ended meanwhile
                self._windows.end_now(window, "locked", lock.reason)
        # The sessions of a window have its policy and connection, but each has programs of its own.
        if of_identities := [lock for lock in locks if lock.scope.kind is ScopeKind.IDENTITY]:
            await self._end_programs(of_identities, left, now)

    async def _end_programs(self, locks: Sequence[Lock], windows: Container[str], now: datetime) -> None:
        """End the sessions of locked apps and agents in windows that stay: those of the persons they act for."""
        async for session in in_pieces(self._registry):
            view = session.view
            if view is None or view.window not in windows or view.id in self._ending:
                continue
            programs = own_keys(view.identity)
            lock = matching_lock(locks, view.identity.key, view.policy, view.connection, now, programs)
            if lock is not None:
                self._ending[view.id] = asyncio.create_task(self._end_program(session, view.id, lock))

    async def _end_program(self, session: RegisteredSession, session_id: str, lock: Lock) -> None:
        try:
            await session.end("locked", lock.reason)
        except PgjitError as fault:
            _log.error("session %s of a locked program was not ended: %s", session_id, fault.message)
        finally:
            self._ending.pop(session_id, None)

    async def _end_revoked(self) -> None:
        """End the windows of this node that were revoked, or that another node has already marked as ended."""
        if not (open_windows := self._windows.live()):
            return
        stored = await self._store.known([window.id for window in open_windows])
        async for window in in_pieces(stored.values()):
            if not self._windows.is_open(window.id):
                continue  # it has ended meanwhile
            if window.revoked_at is not None:
                self._windows.end_now(window, "revoked", window.revoke_reason)
            elif window.ended_at is not None:
                self._windows.end_now(window, window.end_reason or "ttl")
            elif window.ending_at is not None:
                self._windows.end_now(window, window.ending_reason or "ttl")

    def _kill(self, kill: SessionKill) -> None:
        session = self._registry.get(kill.session_id)
        if session is not None and kill.session_id not in self._killing:
            task = asyncio.create_task(self._end_killed(kill))
            self._killing[kill.session_id] = task

    async def _end_killed(self, kill: SessionKill) -> None:
        session = self._registry.get(kill.session_id)
        try:
            if session is not None:
                await session.end("killed", kill.reason)
            await self._store.session_ended(kill.session_id)
        except PgjitError as fault:
            # The order stays in the store, and is dropped in a later round.
            _log.error(
                "the order to end session %s is not removed from the store: %s", kill.session_id, fault.message
            )
        finally:
            self._killing.pop(kill.session_id, None)

    async def _drop_old(self, kills: Sequence[SessionKill]) -> None:
        """Drop the orders for sessions that no node has."""
        old = self._clock() - _KEPT_AFTER
        ids = {kill.session_id for kill in kills if kill.at < old and self._registry.get(kill.session_id) is None}
        if ids:
            for session_id in ids - await self._stored_sessions():
                await self._store.session_ended(session_id)

    async def _stored_sessions(self) -> set[str]:
        return {backend.session_id for backend in await self._store.backends()}
