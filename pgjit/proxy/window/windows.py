"""The windows of this process: admits logins, records openings and ends, and ends each window on time.

`_carry_out` is the end of a window: it ends the sessions and records the end. `grants/lifecycle.py` decides whether a
window may be opened and when it ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import datetime

from pgjit.audit.event import WindowEnded, WindowEnding, WindowOpened
from pgjit.audit.journal import Journal
from pgjit.clock import Clock, Until
from pgjit.errors import JournalUnavailable, PgjitError, ServerUnavailable
from pgjit.grants.holder import Holder, HolderKey
from pgjit.grants.journal_mark import JournalMark
from pgjit.grants.lifecycle import begun_end, effective_end
from pgjit.grants.outbox import OutboxEntry, RecordKind
from pgjit.grants.reviewers import own_keys
from pgjit.grants.shielded import uninterrupted
from pgjit.grants.store import Store
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, LoginAsk, Window
from pgjit.identity.identity import Identity
from pgjit.policy.policy import Policy
from pgjit.proxy.ends import end_sessions
from pgjit.proxy.registry import Registry
from pgjit.proxy.window.current_policies import end_under
from pgjit.proxy.window.early_ends import EarlyEnds
from pgjit.proxy.window.fleet_node import FleetNode
from pgjit.proxy.window.kept_backends import KeptBackends
from pgjit.proxy.window.leases import Leases
from pgjit.proxy.window.outbox_records import end_note, opening_note, record_of
from pgjit.proxy.window.review_records import ReviewRecords
from pgjit.proxy.window.session_counts import SessionCounts
from pgjit.proxy.window.wait_until import wait_until
from pgjit.proxy.window.window_reports import report_ended, report_opened
from pgjit.proxy.window.window_usages import WindowUsages
from pgjit.telemetry import Telemetry
from pgjit.turns import take_turn

__all__ = ["Windows"]

_log = logging.getLogger("pgjit.windows")
_SAVE_EVERY = 2.0
_END_SECONDS = 5.0
"""Seconds until a window whose backends remain is recorded as ending."""
_RETRY_SECONDS = 1.0
"""Seconds until recording an end is tried again."""


@dataclass(slots=True)
class _End:
    """The end of a window, which is scheduled or being carried out."""

    window: Window
    until: Until
    reason: str  # `ttl`, `revoked`, `locked`, ...
    explanation: str | None  # the reason that a person gave, for the client
    task: asyncio.Task[None]
    begun: bool = False


class Windows:
    def __init__(
        self,
        store: Store,
        journal: Journal,
        registry: Registry,
        clock: Clock,
        kept_backends: KeptBackends | None = None,
        telemetry: Telemetry | None = None,
        node: FleetNode | None = None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._registry = registry
        self._kept_backends = kept_backends
        self._clock = clock
        self._node = node
        self._session_counts = SessionCounts(store)
        self.leases = Leases(store, clock.steady)
        self._review_records = ReviewRecords(store, journal)
        self._telemetry = telemetry
        self._ends: dict[str, _End] = {}
        self._early_ends = EarlyEnds()
        self._outbox: dict[tuple[str, RecordKind], WindowOpened | WindowEnded] = {}  # not in the journal yet
        self._recorded: set[tuple[str, RecordKind]] = set()  # in the journal, but still in the store's outbox
        self._policies: Mapping[str, Policy] | None = None  # as they are now
        self._usages = WindowUsages(store)
        self._saved_mark: JournalMark | None = None  # as last saved in the store
        self._saving: asyncio.Task[None] | None = None

    async def resume(self, policies: Mapping[str, Policy]) -> None:
        """Resume the windows that an earlier process left open, and record the end of those that are over.

        `policies`: the current ones, whatever they become later. A shortened `ttl` ends a window earlier.
        """
        self._policies = policies
        await self._resume_outbox()
        await self._review_records.write()
        for window in await self._store.unended(own=True):
            self.take_over(window)
        self._saving = asyncio.create_task(self._keep_saving())

    def take_over(self, window: Window) -> None:
        """End a window that another process had when it has to end, or now if that had begun."""
        assert self._policies is not None, "`resume` comes first"
        (ends_at, why, how), (reason, text) = end_under(window, self._policies, self._clock()), begun_end(window)
        self._schedule(window, ends_at, *((why, how) if reason == "ttl" else (reason, text)))

    async def _resume_outbox(self) -> None:
        """Record what an earlier process left in the outbox, unless the journal has it already."""
        if not (entries := await self._store.outbox()):
            return
        recorded = self._journal.recorded_windows(min(entry.window.opened_at for entry in entries))
        for entry in entries:
            key = entry.window.id, entry.kind
            if (f"window.{entry.kind}", entry.window.id) in recorded:
                self._recorded.add(key)
                continue
            try:
                self._outbox[key] = record_of(entry)
            except (ValueError, KeyError, TypeError) as fault:
                raise ServerUnavailable(
                    "window store cannot be used",
                    reference="store-unavailable",
                    detail=f"The outbox entry of window {entry.window.id} cannot be read.",
                ) from fault
        await self._flush_outbox()

    async def admit(
        self,
        identity: Identity,
        policy: Policy,
        source: str,
        reason: str | None,
        ask: LoginAsk | None = None,
        sessions: Callable[[], int] = lambda: 0,
    ) -> tuple[Window, datetime]:
        """Join or open the window of `identity` under `policy`; returns it with its end.

        `sessions`: of this holder under this policy on this node, this one included.

        Raises AccessRefused as lifecycle.py decides, ServerUnavailable (no store) and JournalUnavailable (the opening
        cannot be recorded).
        """
        # A login may time out in here; the opening is recorded all the same. No window may be open without a record.
        return await uninterrupted(self._admit(identity, policy, source, reason, ask, sessions))

    async def _admit(
        self,
        identity: Identity,
        policy: Policy,
        source: str,
        reason: str | None,
        ask: LoginAsk | None,
        sessions: Callable[[], int],
    ) -> tuple[Window, datetime]:
        if self._node is not None:
            self._node.check()
        now = self._clock()
        login = Login(
            source=source.rpartition(":")[0],
            token_id=identity.token_id,
            token_ends_at=identity.expires_at,
            token_issued_at=identity.issued_at,
            display=identity.display,
            holder=Holder.of(identity),
            own=own_keys(identity),
        )
        note = opening_note(identity, policy, now, source, reason)
        async with self._session_counts.in_order(policy):
            window, opened = await self._store.admit(identity.key, policy, now, login, note, ask, sessions())
        if opened:
            self._outbox[window.id, "opened"] = record_of(OutboxEntry("opened", window, note))
            report_opened(window, self._telemetry)
        await self.leases.take(window.id, policy.limits)
        if policy.limits.of_window and not self._store.shared:
            await self._usages.load(window.id)
        ends_at = effective_end(window, policy)
        self._schedule(window, ends_at)
        if self._policies is not None:  # which may have changed since the login began
            self._schedule(window, *end_under(window, self._policies, self._clock()))
        if (window.id, "opened") in self._outbox:
            try:
                self._write_outbox()
            except JournalUnavailable:
                raise JournalUnavailable(fatal=True) from None
        end = self._ends.get(window.id)
        return window, ends_at if end is None else min(ends_at, end.until.expected_at)

    async def count_sessions(self, holder: HolderKey, policy: Policy, sessions: Callable[[], int]) -> None:
        """Report to the other nodes how many sessions of the policy this node has, now that there are fewer."""
        if self._session_counts.needed(policy):
            windows = [end.window for end in self._ends.values()]
            of_policy = [each for each in windows if (each.holder_key, each.policy) == (holder, policy.name)]
            await self._session_counts.report(of_policy, sessions)

    # --- ends before the granted end -------------------------------------------------------------------

    def live(self) -> list[Window]:
        """The windows whose end has not begun."""
        return [end.window for end in self._ends.values() if not end.begun and end.reason == "ttl"]

    def is_open(self, window_id: str) -> bool:
        """Whether this node has the window. Another node's window is ended by that node."""
        return window_id in self._ends

    def end_now(self, window: Window, reason: str, explanation: str | None = None) -> None:
        """End the window without waiting for its granted end. The first reason counts.

        `explanation`: the reason that a person gave; the client receives it.
        """
        self._schedule(window, self._clock(), reason, explanation)

    def shorten(self, window: Window, ends_at: datetime) -> bool:
        """End the window at `ends_at`, if that is before its end; whether it is."""
        scheduled = self._ends.get(window.id)
        if scheduled is None or scheduled.begun or ends_at >= scheduled.until.moment:
            return False
        self._schedule(window, ends_at)
        return True

    def early_end(self, window_id: str) -> tuple[str, str | None] | None:
        """Reason and explanation of an end before the granted one, if there was one.

        A login that was admitted before may arrive after all sessions of the window were ended.
        """
        return self._early_ends.of(window_id)

    def usage(self, window: Window) -> Usage:
        """The usage of the window, counted by all its sessions."""
        lease = self.leases.of(window.id)
        return self._usages.of(window.id) if lease is None else lease.usage

    async def _keep_saving(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            await self._usages.save()
            await self.leases.give_back_unused(lambda window_id: bool(self._registry.of_window(window_id)))
            await self._lapse_requests()
            await self._flush_outbox()
            await self._review_records.try_to_write()
            await self._save_mark()

    async def _lapse_requests(self) -> None:
        """Lapse the requests that nobody decided or used in time; a failure is tried again."""
        try:
            await self._store.lapse_requests(self._clock())
        except PgjitError as fault:
            _log.error("requests whose time is over are not lapsed yet: %s", fault.message)

    async def _save_mark(self) -> None:
        """Save the journal's position in the store: a truncated journal is detected at the next start."""
        mark = self._journal.mark
        if mark is None or mark == self._saved_mark:
            return
        try:
            await self._store.note_journal_mark(self._journal.name, mark)
        except PgjitError as fault:
            _log.error("the position of the journal is not saved yet: %s", fault.message)
        else:
            self._saved_mark = mark

    def _write_outbox(self) -> None:
        """Write the outbox to the journal. Raises JournalUnavailable; unwritten records stay in the outbox."""
        for key, event in list(self._outbox.items()):
            self._journal.append([event])
            del self._outbox[key]
            self._recorded.add(key)

    async def _flush_outbox(self) -> None:
        """Write the outbox to the journal, then remove the written entries from the store.

        Failures are retried later.
        """
        try:
            self._write_outbox()
        except JournalUnavailable:
            _log.error("%d records of windows are not in the journal yet", len(self._outbox))
        try:
            for key in list(self._recorded):
                await self._store.recorded(*key)
                self._recorded.discard(key)
        except PgjitError as fault:
            _log.error("recorded outbox entries are not removed from the store yet: %s", fault.message)

    def _schedule(
        self, window: Window, ends_at: datetime, reason: str = "ttl", explanation: str | None = None
    ) -> None:
        scheduled, until = self._ends.get(window.id), self._clock.until(ends_at)
        if scheduled is not None:
            if scheduled.begun or ends_at >= scheduled.until.moment:
                return
            scheduled.task.cancel()  # the window ends earlier than scheduled
            until = until.no_later_than(scheduled.until)
        task = asyncio.create_task(self._carry_out(window.id), context=Context())
        self._ends[window.id] = _End(window, until, reason, explanation, task)
        if reason != "ttl":
            self._early_ends.add(window, reason, explanation, task, self._clock())

    async def _carry_out(self, window_id: str) -> None:
        """Wait for the window's end, then end its sessions and record the end."""
        end = self._ends[window_id]
        await wait_until(end.until)
        end.begun = True
        sessions = await self._end_sessions(end)
        if sessions is None:
            return  # the next process records the end
        await self.leases.forget(window_id)
        await self._record_end(end, sessions)
        await self._usages.forget(window_id)
        self._ends.pop(window_id, None)

    async def _end_sessions(self, end: _End) -> int | None:
        """End all sessions; returns their number, or None if a shutdown abandoned one."""
        before = self._registry.of_window(end.window.id)
        for session in before:  # thousands of windows may end at once: the rest is done in turn
            session.cut_off()
        await take_turn(ends=True)
        sessions = list(dict.fromkeys([*before, *self._registry.of_window(end.window.id)]))
        waits = [] if self._kept_backends is None else [self._kept_backends.wait_until_gone(end.window.id)]
        ends = asyncio.gather(end_sessions(sessions, end.reason, end.explanation, in_turn=True), *waits)
        try:
            await asyncio.wait({ends}, timeout=_END_SECONDS)
            if not ends.done():
                self._record_ending(end)
            await ends
        finally:
            ends.cancel()
        return None if any(session.abandoned for session in sessions) else len(sessions)

    def _record_ending(self, end: _End) -> None:
        """Record that the window is over and backends remain.

        INVARIANT: a window's end is recorded only after all of its backends are gone.
        """
        window = end.window
        orphans = 0 if self._kept_backends is None else self._kept_backends.count_orphans(window.id)
        remaining = len(self._registry.of_window(window.id)) + orphans
        _log.error("window %s is over, and %d of its backends were not seen to end yet", window.id, remaining)
        ended = replace(window, ends_at=min(window.ends_at, end.until.moment))
        try:
            ending = WindowEnding(window=ended, at=self._clock(), reason=end.reason, sessions=remaining)
            self._journal.append([ending])
        except JournalUnavailable:
            _log.error("that window %s is ending is not in the journal", window.id)

    async def _record_end(self, end: _End, sessions: int) -> None:
        """Record the end in store and journal; retries until both have it.

        INVARIANT: the journal has one end of each window. A login that was admitted at the last moment brings a
        window here a second time: then the store has its end already.
        """
        window, ends_at = end.window, end.until.moment
        note = end_note(self._clock(), sessions)
        ended = replace(window, ended_at=ends_at, end_reason=end.reason)
        saved = doubtful = False
        while not saved or (window.id, "ended") in self._outbox:
            try:
                if self._node is not None and self._node.superseded:
                    return  # the process that has the name now ends the window
                if not saved:
                    first = await self._store.end(window.id, ends_at, end.reason, note)
                    if first or (doubtful and await self._in_outbox(window.id)):
                        self._outbox[window.id, "ended"] = record_of(OutboxEntry("ended", ended, note))
                        report_ended(window, end.reason, self._telemetry)
                    saved = True
                self._write_outbox()
            except PgjitError as fault:
                doubtful = doubtful or not saved  # a commit that reported a failure may have succeeded
                _log.error("end of window %s is not recorded yet: %s", window.id, fault.message)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _in_outbox(self, window_id: str) -> bool:
        return any((entry.window.id, entry.kind) == (window_id, "ended") for entry in await self._store.outbox())

    async def close(self) -> None:
        """Stop the timers. Open windows stay in the store; the next process resumes them."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
            await self._usages.save()
            await self.leases.give_back_unused(lambda _: False)
            await self._flush_outbox()
            await self._review_records.try_to_write()
            await self._save_mark()
        tasks = [end.task for end in self._ends.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._ends.clear()
