"""The records of the store's journal outbox: requests, reviews, locks, revocations. Each entry becomes an event.

The entry is deleted when the journal has its record. A process that is killed in between writes it again at its next
start, with the same number.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import orjson

from pgjit.audit.journal import Journal
from pgjit.audit.review_event import (
    BreakGlassSignedOff,
    BreakGlassUsed,
    LockLifted,
    LockSet,
    NotificationFailed,
    RequestEnded,
    RequestMade,
    ReviewEvent,
    SessionKilled,
    VerdictGiven,
    WindowAdopted,
    WindowRevoked,
)
from pgjit.errors import PgjitError, ServerUnavailable
from pgjit.grants.journal_entry import JournalEntry
from pgjit.grants.request import Request
from pgjit.grants.store import Store
from pgjit.grants.value_text import ACTOR, KILL, LOCK, REQUEST_TEXT, WINDOW

__all__ = ["ReviewRecords", "event_of"]

_log = logging.getLogger("pgjit.windows")


class ReviewRecords:
    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self._written: set[int] = set()  # in the journal, but still in the store's outbox

    async def write(self) -> None:
        """Write every entry to the journal, then delete those. Raises JournalUnavailable or ServerUnavailable."""
        for entry in await self._store.journal_outbox():
            if entry.id not in self._written:
                self._journal.append([event_of(entry)])
                self._written.add(entry.id)
        if self._written:
            await self._store.journal_took(self._written)
            self._written.clear()

    async def try_to_write(self) -> None:
        """As `write`; a failure is logged, and the next call tries again."""
        try:
            await self.write()
        except PgjitError as fault:
            _log.error("records of requests and revocations are not in the journal yet: %s", fault.message)


def event_of(entry: JournalEntry) -> ReviewEvent:
    """Raises ServerUnavailable for an entry that pgjit did not write."""
    try:
        return _of_request(entry) or _of_order(entry)
    except (ValueError, KeyError, TypeError) as fault:
        raise ServerUnavailable(
            "window store cannot be used",
            reference="store-unavailable",
            detail=f"Entry {entry.id} of the journal outbox ({entry.kind}) cannot be read.",
        ) from fault


def _of_request(entry: JournalEntry) -> ReviewEvent | None:
    if not entry.kind.startswith("request."):
        return None
    request = REQUEST_TEXT.read(entry.note)
    match entry.kind:
        case "request.made":
            return RequestMade(at=request.created_at, entry=entry.id, request=request)
        case "request.verdict":
            verdict = request.verdicts[-1]
            return VerdictGiven(at=verdict.at, entry=entry.id, request=request, verdict=verdict)
        case "request.ended":
            return RequestEnded(at=_changed_at(request), entry=entry.id, request=request)
    raise ValueError(entry.kind)


def _changed_at(request: Request) -> datetime:
    return request.ended_at or request.decided_at or request.created_at


def _of_order(entry: JournalEntry) -> ReviewEvent:
    number = entry.id
    match entry.kind:
        case "window.revoked":
            window = WINDOW.read(entry.note)
            return WindowRevoked(at=window.revoked_at or window.opened_at, entry=number, window=window)
        case "lock.set":
            lock = LOCK.read(entry.note)
            return LockSet(at=lock.set_at, entry=number, lock=lock)
        case "session.killed":
            kill = KILL.read(entry.note)
            return SessionKilled(at=kill.at, entry=number, kill=kill)
        case "break_glass.signed_off":
            window = WINDOW.read(entry.note)
            at = window.opened_at if window.signed_off is None else window.signed_off.at
            return BreakGlassSignedOff(at=at, entry=number, window=window)
    return _of_fields(entry, orjson.loads(entry.note))


def _of_fields(entry: JournalEntry, note: dict[str, Any]) -> ReviewEvent:
    match entry.kind:
        case "lock.lifted":
            at, lock, by = datetime.fromisoformat(note["at"]), LOCK.read(note["lock"]), ACTOR.read(note["by"])
            return LockLifted(at=at, entry=entry.id, lock=lock, by=by, reason=note["reason"])
        case "window.adopted":
            at, window = datetime.fromisoformat(note["at"]), WINDOW.read(note["window"])
            return WindowAdopted(at=at, entry=entry.id, window=window, node=note["node"])
        case "break_glass.used":
            window = WINDOW.read(note["window"])
            return BreakGlassUsed(at=window.opened_at, entry=entry.id, window=window, reason=note["reason"])
        case "notification.failed":
            return NotificationFailed(
                at=datetime.fromisoformat(note["at"]),
                entry=entry.id,
                channel=note["channel"],
                subject=entry.subject,
                attempts=note["attempts"],
                error=note["error"],
            )
    raise ValueError(entry.kind)
