"""The part of a store that the HTTP API uses, in memory; and what ends windows, without any session."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from pgjit.errors import ServerUnavailable
from pgjit.grants.actor import Actor
from pgjit.grants.listing import ListPage, RequestFilter, WindowFilter
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request
from pgjit.grants.request_refusals import (
    AlreadySignedOff,
    RequestUnknown,
    SignedOffByUser,
    WindowNotOver,
    WindowUnknown,
)
from pgjit.grants.saved_search import SavedSearch
from pgjit.grants.scope import Scope
from pgjit.grants.session_elsewhere import SessionElsewhere
from pgjit.grants.usage import Usage
from pgjit.grants.window import SignOff, Window
from pgjit.identity.identity import IdentityKey

__all__ = ["MemoryEnding", "MemoryStore", "a_window"]


def a_window(name: str, owner: IdentityKey, at: datetime, policy: str = "reading", **changes: object) -> Window:
    window = Window(
        id=f"w_{name}",
        identity=owner,
        policy=policy,
        connection="shop",
        opened_at=at,
        ends_at=at + timedelta(hours=1),
        retry_at=at + timedelta(hours=2),
    )
    return replace(window, **changes)  # type: ignore[arg-type]


class MemoryStore:
    def __init__(self) -> None:
        self.all_requests: dict[str, Request] = {}
        self.all_windows: dict[str, Window] = {}
        self.all_locks: dict[str, Lock] = {}
        self.searches: dict[str, SavedSearch] = {}
        self.searches_fault: ServerUnavailable | None = None
        self.elsewhere: list[SessionElsewhere] | ServerUnavailable = []
        self.usages: dict[str, Usage] = {}
        self.shared = True

    async def file_request(self, request: Request, now: datetime, *, at_most: int) -> Request:
        for each in self.all_requests.values():
            if each.state.live and each.ask.digest == request.ask.digest:
                return each
        self.all_requests[request.id] = request
        return request

    async def request(self, request_id: str) -> Request | None:
        return self.all_requests.get(request_id)

    async def requests(self, narrowed: RequestFilter, after: str | None = None, limit: int = 50) -> ListPage[Request]:
        found = [
            each
            for each in self.all_requests.values()
            if narrowed.identity in (None, each.ask.identity) and narrowed.policy in (None, each.ask.policy)
            and (narrowed.states is None or each.state in narrowed.states)
        ]  # fmt: skip
        return _page(found, after, limit)

    async def change_request(self, request_id: str, change: Callable[[Request], Request], now: datetime) -> Request:
        if request_id not in self.all_requests:
            raise RequestUnknown(request_id)
        self.all_requests[request_id] = changed = change(self.all_requests[request_id])
        return changed

    async def sessions_elsewhere(
        self, *, identity: IdentityKey | None = None, window_ids: Collection[str] | None = None
    ) -> list[SessionElsewhere]:
        if isinstance(self.elsewhere, ServerUnavailable):
            raise self.elsewhere
        return [
            each
            for each in self.elsewhere
            if identity in (None, each.window.identity) and (window_ids is None or each.window.id in window_ids)
        ]

    async def window(self, window_id: str) -> Window | None:
        return self.all_windows.get(window_id)

    async def windows(self, narrowed: WindowFilter, after: str | None = None, limit: int = 50) -> ListPage[Window]:
        found = [
            each
            for each in self.all_windows.values()
            if narrowed.identity in (None, each.identity) and narrowed.policy in (None, each.policy)
            and (narrowed.ended is None or narrowed.ended == (each.ended_at is not None))
        ]  # fmt: skip
        return _page(found, after, limit)

    async def usage(self, window_id: str) -> Usage:
        if isinstance(self.elsewhere, ServerUnavailable):
            raise self.elsewhere
        return self.usages.get(window_id, Usage())

    async def sign_off(self, window_id: str, sign_off: SignOff) -> Window:
        window = self.all_windows.get(window_id)
        if window is None:
            raise WindowUnknown(window_id)
        if window.identity == sign_off.by.key:
            raise SignedOffByUser(window_id)
        if window.signed_off is not None or not window.break_glass:
            raise AlreadySignedOff(window_id)
        if window.ended_at is None:
            raise WindowNotOver(window_id)
        self.all_windows[window_id] = signed = replace(window, signed_off=sign_off)
        return signed

    async def saved_searches(self, owner: IdentityKey) -> list[SavedSearch]:
        self._check_searches()
        own = [each for each in self.searches.values() if each.owner == owner]
        return sorted(own, key=lambda each: each.name)

    async def save_search(self, search: SavedSearch, *, at_most: int) -> SavedSearch | None:
        own = await self.saved_searches(search.owner)
        known = next((each for each in own if each.name == search.name), None)
        if known is None and len(own) >= at_most:
            return None
        kept = search if known is None else replace(search, id=known.id)
        self.searches[kept.id] = kept
        return kept

    async def delete_search(self, owner: IdentityKey, search_id: str) -> SavedSearch | None:
        own = await self.saved_searches(owner)
        return self.searches.pop(search_id) if any(each.id == search_id for each in own) else None

    def _check_searches(self) -> None:
        if self.searches_fault is not None:
            raise self.searches_fault

    async def locks(self, now: datetime) -> list[Lock]:
        return [lock for lock in self.all_locks.values() if lock.in_force(now)]


T = TypeVar("T")


def _page(found: list[T], after: str | None, limit: int) -> ListPage[T]:
    begin = int(after or 0)
    end = begin + limit
    return ListPage(tuple(found[begin:end]), str(end) if end < len(found) else None)


class MemoryEnding:
    def __init__(self, store: MemoryStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self.killed: list[str] = []

    async def revoke(self, scope: Scope, reason: str, by: Actor) -> list[Window]:
        at = self._clock()
        revoked = [
            replace(window, revoked_at=at, revoked_by=by, revoke_reason=reason)
            for window in self._store.all_windows.values()
            if window.ended_at is None and window.revoked_at is None and scope.covers_window(window)
        ]
        self._store.all_windows.update((window.id, window) for window in revoked)
        return revoked

    async def kill(self, session_id: str, reason: str, by: Actor) -> bool:
        self.killed += [session_id] if session_id == "s_1" else []
        return session_id == "s_1"

    async def lock(self, scope: Scope, reason: str, by: Actor, until: datetime | None = None) -> Lock:
        name = f"l_{len(self._store.all_locks) + 1}"
        lock = Lock(id=name, scope=scope, reason=reason, set_by=by, set_at=self._clock(), until=until)
        self._store.all_locks[name] = lock
        return lock

    async def unlock(self, lock_id: str, reason: str, by: Actor) -> Lock | None:
        return self._store.all_locks.pop(lock_id, None)
