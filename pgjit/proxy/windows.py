"""The life of windows in this process: admit, record, and end each at its time.

Decides when a window's end is carried out. Whether one may be opened is `grants/lifecycle.py`'s.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import datetime

from pgjit.audit.event import WindowEnded, WindowOpened
from pgjit.audit.journal import Journal
from pgjit.clock import Clock
from pgjit.errors import JournalUnavailable, PgjitError
from pgjit.grants.lifecycle import effective_end
from pgjit.grants.store import Store
from pgjit.grants.uninterrupted import uninterrupted
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, Window
from pgjit.identity.identity import Identity
from pgjit.policy.policy import Policy
from pgjit.proxy.alarm import reached
from pgjit.proxy.registry import Registry

__all__ = ["Windows"]

_log = logging.getLogger("pgjit.windows")
_NOTE_EVERY = 2.0
_AGAIN = 1.0
"""Seconds until an end that could not be written down is tried again."""


class Windows:
    def __init__(self, store: Store, journal: Journal, registry: Registry, clock: Clock) -> None:
        self._store = store
        self._journal = journal
        self._registry = registry
        self._clock = clock
        self._timers: dict[str, tuple[datetime, asyncio.Task[None]]] = {}
        self._unrecorded: set[str] = set()
        self._usages: dict[str, Usage] = {}
        self._noted: dict[str, Usage] = {}  # as the store has them
        self._noting: asyncio.Task[None] | None = None

    async def resume(self) -> None:
        """Take up the windows that an earlier process left: those that are over are recorded as ended."""
        for window in await self._store.unended():
            self._schedule(window, window.ends_at)
        self._noting = asyncio.create_task(self._note_usages())

    async def admit(
        self, identity: Identity, policy: Policy, source: str, reason: str | None
    ) -> tuple[Window, datetime]:
        """The window of `identity` under `policy`, joined or opened, and its end.

        Raises CoolingDown, ServerUnavailable (no store) and JournalUnavailable (the opening cannot be recorded).
        """
        # A login may run out of time in here: what the store was asked for is written down all the same, or a window
        # would be open that nobody knows of.
        return await uninterrupted(self._admit(identity, policy, source, reason))

    async def _admit(
        self, identity: Identity, policy: Policy, source: str, reason: str | None
    ) -> tuple[Window, datetime]:
        now = self._clock()
        login = Login(source=source.rpartition(":")[0], token_id=identity.token_id, token_ends_at=identity.expires_at)
        window, opened = await self._store.admit(identity.key, policy, now, login)
        if opened:
            self._unrecorded.add(window.id)
        if policy.limits.of_window and window.id not in self._usages:
            used = await self._store.usage(window.id)
            self._usages.setdefault(window.id, used)
        ends_at = effective_end(window, policy)
        self._schedule(window, ends_at)
        if window.id in self._unrecorded:
            self._record_opening(identity, policy, window, source, reason)
            self._unrecorded.discard(window.id)
        return window, ends_at

    def usage(self, window: Window) -> Usage:
        """What was used of it, counted by all of its sessions."""
        return self._usages.setdefault(window.id, Usage())

    async def _note_usages(self) -> None:
        while True:
            await asyncio.sleep(_NOTE_EVERY)
            await self._note_changed()

    async def _note_changed(self) -> None:
        """Keep what was used: after a restart a window has what it had left, but for the last moments."""
        for window_id, used in list(self._usages.items()):
            now = replace(used)
            if now == self._noted.get(window_id, Usage()):
                continue
            try:
                await self._store.note_usage(window_id, now)
            except PgjitError as fault:
                _log.error("what was used of window %s is not written down yet: %s", window_id, fault.message)
                return
            self._noted[window_id] = now

    def _record_opening(
        self, identity: Identity, policy: Policy, window: Window, source: str, reason: str | None
    ) -> None:
        event = WindowOpened(
            identity=identity,
            policy=policy.name,
            policy_version=policy.version,
            window=window,
            at=self._clock(),
            source=source,
            reason=reason,
        )
        try:
            self._journal.append([event])
        except JournalUnavailable:
            raise JournalUnavailable(fatal=True) from None

    def _schedule(self, window: Window, ends_at: datetime) -> None:
        known = self._timers.get(window.id)
        if known is not None:
            if ends_at >= known[0]:
                return
            known[1].cancel()  # a policy whose `ttl` was cut ends it earlier than it was taken up for
        self._timers[window.id] = ends_at, asyncio.create_task(self._carry_out(window, ends_at))

    async def _carry_out(self, window: Window, ends_at: datetime) -> None:
        await reached(self._clock, ends_at)
        sessions = self._registry.of_window(window.id)
        await asyncio.gather(*(session.end("ttl") for session in sessions))
        await self._note_end(window, ends_at, len(sessions))
        self._timers.pop(window.id, None)
        self._usages.pop(window.id, None)
        self._noted.pop(window.id, None)

    async def _note_end(self, window: Window, ends_at: datetime, sessions: int) -> None:
        """Write the end down in store and journal; both are tried until they take it."""
        event = WindowEnded(window=window, at=self._clock(), reason="ttl", sessions=sessions)
        noted = recorded = False
        while not (noted and recorded):
            try:
                if not noted:
                    await self._store.end(window.id, ends_at, "ttl")
                    noted = True
                self._journal.append([event])
                recorded = True
            except PgjitError as fault:
                _log.error("end of window %s is not written down yet: %s", window.id, fault.message)
                await asyncio.sleep(_AGAIN)

    async def close(self) -> None:
        """Stop the timers. The windows stay as they are, for the next process to take up."""
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.gather(self._noting, return_exceptions=True)
            await self._note_changed()
        timers = [timer for _, timer in self._timers.values()]
        for timer in timers:
            timer.cancel()
        await asyncio.gather(*timers, return_exceptions=True)
        self._timers.clear()
