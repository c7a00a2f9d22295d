"""Reconciles store and journal when pgjit starts: each may have lost what the other still has.

The journal has the windows that a store lost, and the store has the last position of the journal. Decides how a
difference is repaired: lost windows are restored as ended, sequence numbers are not used twice, and both repairs are
recorded. A difference never prevents the start; a used window is never open again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from pgjit.audit.event import Event, JournalGap, StoreRestored
from pgjit.audit.journal import Journal
from pgjit.audit.window_history import lost_windows, usages_of, windows_of
from pgjit.errors import ServerUnavailable
from pgjit.grants.store import Store
from pgjit.policy.policy import Policy
from pgjit.proxy.window.lost_orders import restore_orders
from pgjit.proxy.window.outbox_records import end_note

__all__ = ["reconcile"]

_log = logging.getLogger("pgjit.windows")
_MIN_LOOKBACK = timedelta(hours=48)
"""How far back the journal is read at least: the policies may have had longer windows and cooldowns before."""


async def reconcile(store: Store, journal: Journal, policies: Mapping[str, Policy], now: datetime) -> None:
    """Reconcile an opened store and journal. Raises ServerUnavailable and JournalUnavailable."""
    journal.append(await _repair_gap(store, journal, now))
    try:
        journal.append(await _restore(store, journal, policies.values(), now))
        await _restore_usages(store, journal, policies)
        await restore_orders(store, journal, _lookback(policies.values(), now), now)
    except (KeyError, TypeError, ValueError) as fault:
        raise ServerUnavailable(
            f"journal `{journal.name}` cannot be used",
            reference="journal-unavailable",
            detail="A record of a window in it cannot be read.",
            hint="Move the journal aside and start again: windows that the store has are kept.",
        ) from fault


async def _repair_gap(store: Store, journal: Journal, now: datetime) -> list[Event]:
    mark = await store.journal_mark(journal.name)
    if mark is None or await asyncio.to_thread(journal.holds, mark):
        return []
    last_seq = journal.seq
    journal.skip_numbers_to(mark.seq)
    _log.critical(
        "journal %s does not hold record %d as the window store has seen it; its last record is %d",
        journal.name, mark.seq, last_seq,
    )  # fmt: skip
    gap = JournalGap(
        at=now,
        reason="missing" if last_seq < mark.seq else "changed",
        expected=mark.seq,
        expected_sha256=mark.sha256,
        found=last_seq,
    )
    return [gap]


def _lookback(policies: Iterable[Policy], now: datetime) -> datetime:
    longest = max((policy.ttl + policy.cooldown for policy in policies), default=_MIN_LOOKBACK)
    return now - max(longest, _MIN_LOOKBACK)


async def _restore(store: Store, journal: Journal, policies: Iterable[Policy], now: datetime) -> list[Event]:
    since = _lookback(policies, now)
    recorded = await asyncio.to_thread(lambda: windows_of(journal.records_back(since, b"window.")))
    stored = await store.known([each.window.id for each in recorded])
    lost = lost_windows(recorded, stored, now)
    if not lost:
        return []
    # Windows whose end is not recorded yet are ended below, which puts that record in the outbox.
    await store.restore(
        [replace(each.window, ended_at=None, end_reason=None) if each.end_due else each.window for each in lost], now
    )
    for each in lost:
        if each.end_due:
            assert each.window.ended_at is not None
            reason = each.window.end_reason or "ttl"
            await store.end(each.window.id, each.window.ended_at, reason, end_note(now, 0))
    _log.critical(
        "the window store had lost %d windows that journal %s has: they are restored, as ended",
        len(lost), journal.name,
    )  # fmt: skip
    return [StoreRestored(at=now, windows=tuple(each.window.id for each in lost))]


async def _restore_usages(store: Store, journal: Journal, policies: Mapping[str, Policy]) -> None:
    """Recompute the usage of open windows: a store from a backup has an older value.

    Usage in the store only grows.
    """
    limited = [
        window
        for window in await store.unended()
        if window.policy in policies and policies[window.policy].limits.of_window
    ]
    if not limited:
        return
    since, window_ids = min(window.opened_at for window in limited), {window.id for window in limited}
    usages = await asyncio.to_thread(lambda: usages_of(journal.records_back(since, b"outcome"), window_ids))
    for window_id, usage in usages.items():
        await store.note_usage(window_id, usage)
