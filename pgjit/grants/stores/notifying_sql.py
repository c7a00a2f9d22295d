"""The notifications of an SQL store: each method is one transaction of a work function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from pgjit.grants.notification import Notice, QueuedNotification, WaitingNotifications
from pgjit.grants.stores import notification_rows
from pgjit.grants.stores.journal_entries import add_entry

__all__ = ["NotifyingSqlStore"]

T = TypeVar("T")


class NotifyingSqlStore:
    """`node`: whose journal takes the records of failures."""

    node: str

    async def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        raise NotImplementedError

    async def spread_notices(self, subscriptions: Mapping[str, Collection[str]], now: datetime) -> int:
        return await self._transaction(lambda each: notification_rows.spread_notices(each, subscriptions, now))

    async def drop_notices(self, now: datetime, before: datetime) -> None:
        await self._transaction(lambda each: notification_rows.drop_notices(each, now, before))

    async def add_notifications(self, notices: Sequence[Notice], channels: Collection[str], now: datetime) -> None:
        await self._transaction(lambda each: notification_rows.add_notifications(each, notices, channels, now))

    async def claim_notifications(
        self, channel: str, now: datetime, leased_until: datetime, at_most: int
    ) -> list[QueuedNotification]:
        return await self._transaction(
            lambda each: notification_rows.claim(each, channel, now, leased_until, at_most)
        )

    async def notification_sent(self, notification: QueuedNotification, at: datetime, place: str | None) -> None:
        await self._transaction(lambda each: notification_rows.finish(each, notification, at, place))

    async def retry_notification(
        self,
        notification: QueuedNotification,
        at: datetime,
        next_try: datetime,
        error: str,
        *,
        report: bool,
        missing: Sequence[str] | None = None,
    ) -> None:
        def work(connection: sa.Connection) -> None:
            if notification_rows.try_again(connection, notification, next_try, error, missing) and report:
                self._add_failure(connection, notification, at, error)

        await self._transaction(work)

    async def give_up_notification(self, notification: QueuedNotification, at: datetime, error: str) -> None:
        def work(connection: sa.Connection) -> None:
            if notification_rows.finish(connection, notification, at, None):
                self._add_failure(connection, notification, at, error)

        await self._transaction(work)

    async def delete_notifications(self, before: datetime) -> None:
        await self._transaction(lambda each: notification_rows.delete_old(each, before))

    async def waiting_notifications(self) -> dict[str, WaitingNotifications]:
        return await self._transaction(notification_rows.waiting)

    def _add_failure(
        self, connection: sa.Connection, notification: QueuedNotification, at: datetime, error: str
    ) -> None:
        note = notification_rows.failure_note(notification, at, error)
        add_entry(connection, self.node, "notification.failed", notification.subject, note)
