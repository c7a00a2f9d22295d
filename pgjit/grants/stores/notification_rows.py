"""The tables of notices and notifications: added with a change, claimed by a node, sent or given up.

INVARIANT: every change of a row names the attempt that it belongs to. A node whose lease is over changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import orjson
import sqlalchemy as sa

from pgjit.grants.notification import (
    NOTICE_KINDS,
    SENT_FIRST,
    Notice,
    QueuedNotification,
    WaitingNotifications,
    event_of_notice,
)
from pgjit.grants.stores.notification_schema import notices, notifications
from pgjit.grants.stores.schema import from_micros, to_micros
from pgjit.random_id import random_id

__all__ = [
    "add_notice",
    "add_notifications",
    "claim",
    "delete_old",
    "drop_notices",
    "failure_note",
    "finish",
    "spread_notices",
    "try_again",
    "waiting",
]

_AT_ONCE = 200


def add_notice(connection: sa.Connection, kind: str, subject: str, note: str) -> None:
    """Add a notice of a journal entry, if people may want to hear of its kind."""
    if kind in NOTICE_KINDS:
        connection.execute(sa.insert(notices).values(kind=kind, subject=subject, note=note))


def spread_notices(connection: sa.Connection, subscriptions: Mapping[str, Collection[str]], now: datetime) -> int:
    rows = connection.execute(sa.select(notices).order_by(notices.c.id).limit(_AT_ONCE)).all()
    spread = 0
    for row in rows:
        # Who deletes the row spreads it. Another node waits here for this transaction, and deletes nothing.
        if connection.execute(sa.delete(notices).where(notices.c.id == row.id)).rowcount != 1:
            continue
        event = event_of_notice(row.kind, row.note)
        notice = Notice(key=f"notice:{row.id}", event=event, subject=row.subject, body=row.note)
        channels = [name for name, events in subscriptions.items() if event in events]
        add_notifications(connection, [notice], channels, now)
        spread += 1
    return spread


def drop_notices(connection: sa.Connection, now: datetime, before: datetime) -> None:
    """Delete the notices that were first seen before then; note the moment on those that nobody has seen."""
    connection.execute(sa.update(notices).where(notices.c.at.is_(None)).values(at=to_micros(now)))
    connection.execute(sa.delete(notices).where(notices.c.at < to_micros(before)))


def add_notifications(
    connection: sa.Connection, added: Sequence[Notice], channels: Collection[str], now: datetime
) -> None:
    for notice in added:
        there = sa.select(notifications.c.channel).where(notifications.c.key == notice.key)
        have = set(connection.execute(there.where(notifications.c.channel.in_(list(channels)))).scalars())
        for channel in channels:
            if channel in have:
                continue
            values = {"event": notice.event, "subject": notice.subject, "body": notice.body, "key": notice.key}
            times = {"created_at": to_micros(now), "next_try": to_micros(now), "attempts": 0}
            name = f"n_{random_id()}"
            connection.execute(sa.insert(notifications).values(id=name, channel=channel, **values, **times))


def claim(
    connection: sa.Connection, channel: str, now: datetime, leased_until: datetime, at_most: int
) -> list[QueuedNotification]:
    # More than are taken: another node may take some of them first.
    due = connection.execute(_due(channel, to_micros(now)).limit(4 * at_most)).all()
    claimed: list[QueuedNotification] = []
    for row in due:
        taken = connection.execute(
            sa.update(notifications)
            .where(*_attempt(row.id, row.attempts))
            .values(attempts=row.attempts + 1, leased_until=to_micros(leased_until))
        )
        if taken.rowcount == 1:
            claimed.append(_read(connection, row))
        if len(claimed) >= at_most:
            break
    return claimed


def finish(connection: sa.Connection, notification: QueuedNotification, at: datetime, place: str | None) -> bool:
    """Sent, or given up; False if another node has taken it meanwhile, or it was done."""
    values: dict[str, object] = {"done_at": to_micros(at), "leased_until": None}
    if place is not None:
        values["place"] = place
    where = _attempt(notification.id, notification.attempt)
    return connection.execute(sa.update(notifications).where(*where).values(**values)).rowcount == 1


def try_again(
    connection: sa.Connection,
    notification: QueuedNotification,
    next_try: datetime,
    error: str,
    missing: Sequence[str] | None,
) -> bool:
    values: dict[str, object] = {"next_try": to_micros(next_try), "leased_until": None, "error": error}
    if missing is not None:
        values["missing"] = orjson.dumps(missing).decode()
    where = _attempt(notification.id, notification.attempt)
    return connection.execute(sa.update(notifications).where(*where).values(**values)).rowcount == 1


def failure_note(notification: QueuedNotification, at: datetime, error: str) -> str:
    """The note of a `notification.failed` entry in the journal outbox."""
    note = {"at": at, "channel": notification.channel, "attempts": notification.attempt, "error": error}
    return orjson.dumps(note).decode()


def delete_old(connection: sa.Connection, before: datetime) -> None:
    old = sa.or_(notifications.c.done_at < to_micros(before), notifications.c.created_at < to_micros(before))
    connection.execute(sa.delete(notifications).where(old))


def waiting(connection: sa.Connection) -> dict[str, WaitingNotifications]:
    query = (
        sa.select(notifications.c.channel, sa.func.count(), sa.func.min(notifications.c.created_at))
        .where(notifications.c.done_at.is_(None))
        .group_by(notifications.c.channel)
    )
    return {
        channel: WaitingNotifications(int(count), from_micros(since))
        for channel, count, since in connection.execute(query)
    }


def _attempt(notification_id: str, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        notifications.c.id == notification_id,
        notifications.c.attempts == attempt,
        notifications.c.done_at.is_(None),
    )


def _due(channel: str, now: int) -> sa.Select[tuple[object, ...]]:
    """The due ones that are the first of their subject: loud events first, then in the order in which they came due.

    The database selects them. Those that wait are not looked at, however many they are.
    """
    before = notifications.alias("before")
    earlier = sa.exists().where(
        before.c.channel == notifications.c.channel,
        before.c.subject == notifications.c.subject,
        before.c.seq < notifications.c.seq,
        before.c.done_at.is_(None),
    )
    leased = notifications.c.leased_until > now
    return (
        sa.select(notifications)
        .where(
            notifications.c.channel == channel,
            notifications.c.done_at.is_(None),
            notifications.c.next_try <= now,
            sa.or_(notifications.c.leased_until.is_(None), sa.not_(leased)),
            sa.not_(earlier),
        )
        .order_by(
            sa.case((notifications.c.event.in_(sorted(SENT_FIRST)), 0), else_=1),
            notifications.c.next_try,
            notifications.c.seq,
        )
    )


def _read(connection: sa.Connection, row: sa.Row[tuple[object, ...]]) -> QueuedNotification:
    earlier = (
        sa.select(notifications.c.place)
        .where(
            notifications.c.channel == row.channel,
            notifications.c.subject == row.subject,
            notifications.c.place.is_not(None),
        )
        .order_by(notifications.c.seq.desc())
        .limit(1)
    )
    return QueuedNotification(
        id=row.id,
        channel=row.channel,
        event=row.event,
        subject=row.subject,
        body=row.body,
        created_at=from_micros(row.created_at),
        attempt=row.attempts + 1,
        error=row.error,
        missing=None if row.missing is None else tuple(orjson.loads(row.missing)),
        place=row.place,
        earlier_place=connection.execute(earlier).scalar_one_or_none(),
    )
