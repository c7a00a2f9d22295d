"""The life of windows in this process: admit, record, and end each at its time.

Decides when a window's end is carried out. Whether one may be opened is `grants/lifecycle.py`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pgjit.audit.event import WindowEnded, WindowEnding, WindowOpened
from pgjit.audit.journal import Journal
from pgjit.clock import Clock, Until
from pgjit.errors import JournalUnavailable, PgjitError, ServerUnavailable
from pgjit.grants.journal_mark import JournalMark
from pgjit.grants.lifecycle import effective_end
from pgjit.grants.outbox import OutboxEntry, RecordKind
from pgjit.grants.shielded import uninterrupted
from pgjit.grants.store import Store
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, Window
from pgjit.identity.identity import Identity
from pgjit.policy.policy import Policy
from pgjit.proxy.registry import Registry
from pgjit.proxy.window.kept_backends import KeptBackends
from pgjit.proxy.window.outbox_records import end_note, opening_note, record_of
from pgjit.proxy.window.wait_until import reached

__all__ = ["Windows"]

_log = logging.getLogger("pgjit.windows")
_NOTE_EVERY = 2.0
_PATIENCE = 5.0
"""Seconds until a window whose backends do not go is written down as one that is ending."""
_AGAIN = 1.0
"""Seconds until an end that could not be written down is tried again."""


class Windows:
    def __init__(
        self, store: Store, journal: Journal, registry: Registry, clock: Clock, kept: KeptBackends | None = None
    ) -> None:
        self._store = store
        self._journal = journal
        self._registry = registry
        self._kept = kept
        self._clock = clock
        self._timers: dict[str, tuple[Until, asyncio.Task[None]]] = {}
        self._due: dict[tuple[str, RecordKind], WindowOpened | WindowEnded] = {}  # what the journal has not taken yet
        self._told: set[tuple[str, RecordKind]] = set()  # what it has taken, and the store does not know of yet
        self._usages: dict[str, Usage] = {}
        self._noted: dict[str, Usage] = {}  # as the store has them
        self._mark: JournalMark | None = None  # as the store has it
        self._noting: asyncio.Task[None] | None = None

    async def resume(self, policies: Mapping[str, Policy]) -> None:
        """Take up the windows that an earlier process left: those that are over are recorded as ended.

        `policies`: as they are today. One whose `ttl` was cut ends its windows by that.
        """
        await self._take_up_records()
        for window in await self._store.unended():
            policy = policies.get(window.policy)
            self._schedule(window, window.ends_at if policy is None else effective_end(window, policy))
        self._noting = asyncio.create_task(self._keep_noting())

    async def _take_up_records(self) -> None:
        """Those that an earlier process owed. It may have been killed right after the journal took one."""
        if not (due := await self._store.outbox()):
            return
        told = self._journal.recorded_windows(min(each.window.opened_at for each in due))
        for each in due:
            key = each.window.id, each.kind
            if (f"window.{each.kind}", each.window.id) in told:
                self._told.add(key)
                continue
            try:
                self._due[key] = record_of(each)
            except (ValueError, KeyError, TypeError) as fault:
                raise ServerUnavailable(
                    "window store cannot be used",
                    reference="store-unavailable",
                    detail=f"What it says of the record of window {each.window.id} cannot be read.",
                ) from fault
        await self._catch_up()

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
        login = Login(
            source=source.rpartition(":")[0],
            token_id=identity.token_id,
            token_ends_at=identity.expires_at,
            token_issued_at=identity.issued_at,
        )
        note = opening_note(identity, policy, now, source, reason)
        window, opened = await self._store.admit(identity.key, policy, now, login, note)
        if opened:
            self._due[window.id, "opened"] = record_of(OutboxEntry("opened", window, note))
        if policy.limits.of_window and window.id not in self._usages:
            used = await self._store.usage(window.id)
            self._usages.setdefault(window.id, used)
        ends_at = effective_end(window, policy)
        self._schedule(window, ends_at)
        if (window.id, "opened") in self._due:
            try:
                self._tell()
            except JournalUnavailable:
                raise JournalUnavailable(fatal=True) from None
        timer = self._timers.get(window.id)
        return window, ends_at if timer is None else min(ends_at, timer[0].expected_at)

    def usage(self, window: Window) -> Usage:
        """What was used of it, counted by all of its sessions."""
        return self._usages.setdefault(window.id, Usage())

    async def _keep_noting(self) -> None:
        while True:
            await asyncio.sleep(_NOTE_EVERY)
            await self._note_changed()
            await self._catch_up()
            await self._note_mark()

    async def _note_mark(self) -> None:
        """Let the store know how far the journal has come: a journal that is cut is seen at the next start."""
        mark = self._journal.mark
        if mark is None or mark == self._mark:
            return
        try:
            await self._store.note_journal_mark(self._journal.name, mark)
        except PgjitError as fault:
            _log.error("how far the journal has come is not written down yet: %s", fault.message)
        else:
            self._mark = mark

    def _tell(self) -> None:
        """Record what is due. Raises JournalUnavailable; what was not taken stays due."""
        for key, event in list(self._due.items()):
            self._journal.append([event])
            del self._due[key]
            self._told.add(key)

    async def _catch_up(self) -> None:
        """Bring journal and store to the same; what cannot be done now is done later."""
        try:
            self._tell()
        except JournalUnavailable:
            _log.error("%d records of windows are not in the journal yet", len(self._due))
        try:
            for key in list(self._told):
                await self._store.recorded(*key)
                self._told.discard(key)
        except PgjitError as fault:
            _log.error("that records of windows were written is not written down yet: %s", fault.message)

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

    def _schedule(self, window: Window, ends_at: datetime) -> None:
        known, until = self._timers.get(window.id), self._clock.until(ends_at)
        if known is not None:
            if ends_at >= known[0].moment:
                return
            known[1].cancel()  # a policy whose `ttl` was cut ends it earlier than it was taken up for
            until = replace(until, steady=min(until.steady, known[0].steady))
        self._timers[window.id] = until, asyncio.create_task(self._carry_out(window, until))

    async def _carry_out(self, window: Window, until: Until) -> None:
        await reached(until)
        ends_at = until.moment
        sessions = await self._end_sessions(window, ends_at)
        if sessions is None:
            return  # it ends in the process that comes after
        await self._note_end(window, ends_at, sessions)
        self._timers.pop(window.id, None)
        self._usages.pop(window.id, None)
        self._noted.pop(window.id, None)

    async def _end_sessions(self, window: Window, ends_at: datetime) -> int | None:
        """How many there were; None where one was left behind by a process that stops."""
        sessions = self._registry.of_window(window.id)
        left = [] if self._kept is None else [self._kept.gone(window.id)]
        ends = asyncio.gather(*(session.end("ttl") for session in sessions), *left)
        try:
            await asyncio.wait({ends}, timeout=_PATIENCE)
            if not ends.done():
                self._note_ending(window, ends_at)
            await ends
        finally:
            ends.cancel()
        left_behind = any(session.abandoned for session in sessions)
        return None if left_behind else len(sessions)

    def _note_ending(self, window: Window, ends_at: datetime) -> None:
        """It is over, but not ended: INVARIANT: its end is written down when all of its backends are gone."""
        left = 0 if self._kept is None else self._kept.left(window.id)
        remaining = len(self._registry.of_window(window.id)) + left
        _log.error("window %s is over, and %d of its backends were not seen to end yet", window.id, remaining)
        ended = replace(window, ends_at=min(window.ends_at, ends_at))
        try:
            self._journal.append([WindowEnding(window=ended, at=self._clock(), reason="ttl", sessions=remaining)])
        except JournalUnavailable:
            _log.error("that window %s is ending is not in the journal", window.id)

    async def _note_end(self, window: Window, ends_at: datetime, sessions: int) -> None:
        """Write the end down in store and journal; both are tried until they take it.

        INVARIANT: of a window there is one end in the journal. A login that was admitted at the last moment brings a
        window here a second time: then the store knows its end already.
        """
        note = end_note(self._clock(), sessions)
        ended = replace(window, ended_at=ends_at, end_reason="ttl")
        noted = doubtful = False
        while not noted or (window.id, "ended") in self._due:
            try:
                if not noted:
                    first = await self._store.end(window.id, ends_at, "ttl", note)
                    if first or (doubtful and await self._is_due(window.id)):
                        self._due[window.id, "ended"] = record_of(OutboxEntry("ended", ended, note))
                    noted = True
                self._tell()
            except PgjitError as fault:
                doubtful = doubtful or not noted  # a commit that failed may have been one
                _log.error("end of window %s is not written down yet: %s", window.id, fault.message)
                await asyncio.sleep(_AGAIN)

    async def _is_due(self, window_id: str) -> bool:
        return any((each.window.id, each.kind) == (window_id, "ended") for each in await self._store.outbox())

    async def close(self) -> None:
        """Stop the timers. The windows stay as they are, for the next process to take up."""
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.gather(self._noting, return_exceptions=True)
            await self._note_changed()
            await self._catch_up()
            await self._note_mark()
        timers = [timer for _, timer in self._timers.values()]
        for timer in timers:
            timer.cancel()
        await asyncio.gather(*timers, return_exceptions=True)
        self._timers.clear()
