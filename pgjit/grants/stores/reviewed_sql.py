"""The requests, reviews, locks and revocations of an SQL store: each method is one transaction of a work function."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypeVar

from pgjit.errors import AccessRefused
from pgjit.grants.actor import Actor
from pgjit.grants.journal_entry import JournalEntry
from pgjit.grants.listing import ListPage, RequestFilter, WindowFilter
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request
from pgjit.grants.request_refusals import TooManySessions
from pgjit.grants.scope import Scope
from pgjit.grants.standing_orders import SessionKill, StandingOrders
from pgjit.grants.stores import journal_entries, lock_rows, request_rows, window_rows
from pgjit.grants.stores.notifying_sql import NotifyingSqlStore
from pgjit.grants.window import SignOff, Window

__all__ = ["ReviewedSqlStore", "granted"]

T = TypeVar("T")


def granted(result: T | AccessRefused | TooManySessions) -> T:
    """A refusal is raised only here: its transaction was committed, with what led to it."""
    if isinstance(result, AccessRefused | TooManySessions):
        raise result
    return result


class ReviewedSqlStore(NotifyingSqlStore):
    """`node`: whose journal takes the records of the changes that are made here."""

    async def file_request(self, request: Request, now: datetime, *, at_most: int) -> Request:
        return granted(
            await self._transaction(lambda each: request_rows.file_request(each, self.node, request, now, at_most))
        )

    async def request(self, request_id: str) -> Request | None:
        return await self._transaction(lambda each: request_rows.one_request(each, request_id))

    async def requests(self, narrowed: RequestFilter, after: str | None = None, limit: int = 50) -> ListPage[Request]:
        _check_cursor(after)
        return await self._transaction(lambda each: request_rows.page_of_requests(each, narrowed, after, limit))

    async def change_request(self, request_id: str, change: Callable[[Request], Request], now: datetime) -> Request:
        return granted(
            await self._transaction(
                lambda each: request_rows.change_request(each, self.node, request_id, change, now)
            )
        )

    async def lapse_requests(self, now: datetime) -> list[Request]:
        return await self._transaction(lambda each: request_rows.lapse_requests(each, self.node, now))

    async def window(self, window_id: str) -> Window | None:
        return await self._transaction(lambda each: window_rows.one_window(each, window_id))

    async def windows(self, narrowed: WindowFilter, after: str | None = None, limit: int = 50) -> ListPage[Window]:
        _check_cursor(after)
        return await self._transaction(lambda each: window_rows.page_of_windows(each, narrowed, after, limit))

    async def revoke(self, scope: Scope, by: Actor, reason: str, at: datetime) -> list[Window]:
        return await self._transaction(
            lambda each: window_rows.revoke_windows(each, self.node, scope, by, reason, at)
        )

    async def sign_off(self, window_id: str, sign_off: SignOff) -> Window:
        return granted(
            await self._transaction(lambda each: window_rows.sign_off_window(each, self.node, window_id, sign_off))
        )

    async def set_lock(self, lock: Lock) -> None:
        await self._transaction(lambda each: lock_rows.set_lock(each, self.node, lock))

    async def lift_lock(self, lock_id: str, by: Actor, reason: str, at: datetime) -> Lock | None:
        return await self._transaction(lambda each: lock_rows.lift_lock(each, self.node, lock_id, by, reason, at))

    async def locks(self, now: datetime) -> list[Lock]:
        return await self._transaction(lambda each: lock_rows.locks_in_force(each, now))

    async def kill_session(self, kill: SessionKill) -> None:
        await self._transaction(lambda each: lock_rows.keep_kill(each, self.node, kill))

    async def session_ended(self, session_id: str) -> None:
        await self._transaction(lambda each: lock_rows.delete_kill(each, session_id))

    async def standing_orders(self, now: datetime) -> StandingOrders:
        return await self._transaction(lambda each: window_rows.standing_orders(each, now))

    async def journal_outbox(self) -> list[JournalEntry]:
        return await self._transaction(lambda each: journal_entries.entries_of(each, self.node))

    async def put_into_journal_outbox(self, kind: str, subject: str, note: str) -> None:
        await self._transaction(lambda each: journal_entries.add_entry(each, self.node, kind, subject, note))

    async def journal_took(self, entry_ids: Collection[int]) -> None:
        await self._transaction(lambda each: journal_entries.delete_entries(each, entry_ids))


def _check_cursor(after: str | None) -> None:
    """Raises ValueError."""
    if after is not None and not (after.isascii() and after.isdigit() and len(after) < 19):
        raise ValueError("that is not a cursor of a page")
