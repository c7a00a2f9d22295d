"""The requests, revocations and locks of a store: its methods, on work functions. Not written yet."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from pgjit.grants.actor import Actor
from pgjit.grants.journal_entry import JournalEntry
from pgjit.grants.listing import ListPage, RequestFilter, WindowFilter
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request
from pgjit.grants.scope import Scope
from pgjit.grants.standing_orders import SessionKill, StandingOrders
from pgjit.grants.window import SignOff, Window

__all__ = ["ReviewedSqlStore"]


class ReviewedSqlStore:
    async def file_request(self, request: Request, now: datetime, *, at_most: int) -> Request:
        raise NotImplementedError

    async def request(self, request_id: str) -> Request | None:
        raise NotImplementedError

    async def requests(self, narrowed: RequestFilter, after: str | None = None, limit: int = 50) -> ListPage[Request]:
        raise NotImplementedError

    async def change_request(self, request_id: str, change: Callable[[Request], Request]) -> Request:
        raise NotImplementedError

    async def lapse_requests(self, now: datetime) -> list[Request]:
        raise NotImplementedError

    async def window(self, window_id: str) -> Window | None:
        raise NotImplementedError

    async def windows(self, narrowed: WindowFilter, after: str | None = None, limit: int = 50) -> ListPage[Window]:
        raise NotImplementedError

    async def revoke(self, scope: Scope, by: Actor, reason: str, at: datetime) -> list[Window]:
        raise NotImplementedError

    async def sign_off(self, window_id: str, sign_off: SignOff) -> Window:
        raise NotImplementedError

    async def set_lock(self, lock: Lock) -> None:
        raise NotImplementedError

    async def lift_lock(self, lock_id: str, by: Actor, reason: str, at: datetime) -> Lock | None:
        raise NotImplementedError

    async def locks(self, now: datetime) -> list[Lock]:
        raise NotImplementedError

    async def kill_session(self, kill: SessionKill) -> None:
        raise NotImplementedError

    async def session_ended(self, session_id: str) -> None:
        raise NotImplementedError

    async def standing_orders(self, now: datetime) -> StandingOrders:
        raise NotImplementedError

    async def journal_outbox(self) -> list[JournalEntry]:
        raise NotImplementedError

    async def put_into_journal_outbox(self, kind: str, subject: str, note: str) -> None:
        raise NotImplementedError

    async def journal_took(self, entry_ids: Collection[int]) -> None:
        raise NotImplementedError
