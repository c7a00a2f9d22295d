"""What a store from a backup has forgotten: requests that ended since, and locks that were set since.

The journal has both. Decides that such a request is withdrawn, so that no approval is used twice, and that such a
lock is set again. A lock that was lifted since stays in force: somebody lifts it once more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pgjit.audit.journal import Journal
from pgjit.errors import AccessRefused
from pgjit.grants.actor import Actor
from pgjit.grants.listing import RequestFilter
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request, RequestState
from pgjit.grants.request_lifecycle import withdraw
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.store import Store
from pgjit.identity.identity import IdentityKey

__all__ = ["restore_orders"]

_log = logging.getLogger("pgjit.windows")
_LIVE = tuple(each for each in RequestState if each.live)
_NOTE = "the store was restored: by the journal this request had ended"


async def restore_orders(store: Store, journal: Journal, since: datetime, now: datetime) -> None:
    """Raises ServerUnavailable, JournalUnavailable; KeyError, TypeError and ValueError for a record out of shape."""
    records = await asyncio.to_thread(lambda: list(journal.records_back(since, b"request.ended")))
    # An approval has such a record too: it ends the review.
    ended = {each["request"] for each in records if not RequestState(each["state"]).live}
    for request_id in await _live(store) & ended:
        try:
            await store.change_request(request_id, lambda each: _withdrawn(each, now), now)
        except AccessRefused:  # its time is over too
            continue
        _log.critical("request %s had ended by journal %s: it is withdrawn", request_id, journal.name)
    records = await asyncio.to_thread(lambda: list(journal.records_back(since, b"lock.")))
    lifted = {each["lock"]["id"] for each in records if each["type"] == "lock.lifted"}
    in_force = {each.id for each in await store.locks(now)}
    for record in reversed(records):
        lock = _lock(record) if record["type"] == "lock.set" else None
        if lock is not None and lock.id not in in_force | lifted and lock.in_force(now):
            await store.set_lock(lock)  # one that the store knows, as lifted, stays as it is


async def _live(store: Store) -> set[str]:
    found: set[str] = set()
    cursor = None
    while True:
        page = await store.requests(RequestFilter(states=_LIVE), cursor, 200)
        found |= {each.id for each in page.items}
        cursor = page.next
        if cursor is None:
            return found


def _withdrawn(request: Request, now: datetime) -> Request:
    return withdraw(request, now, _NOTE) if request.state.live else request


def _lock(record: Mapping[str, Any]) -> Lock:
    lock, by = record["lock"], record["by"]
    return Lock(
        id=lock["id"],
        scope=Scope(ScopeKind(lock["kind"]), lock["target"]),
        reason=record["reason"],
        set_by=Actor(key=IdentityKey(by["tid"], by["oid"]), display=by["display"], via=by["via"]),
        set_at=datetime.fromisoformat(record["time"]),
        until=None if lock["until"] is None else datetime.fromisoformat(lock["until"]),
    )
