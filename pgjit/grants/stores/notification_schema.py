"""The tables of notices and notifications."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, UniqueConstraint

from pgjit.grants.stores.schema import NUMBER, metadata

__all__ = ["notices", "notifications"]

notices = Table(  # changes that no node has turned into notifications yet
    "notices",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("at", BigInteger),  # when a node without channels saw it first
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("note", Text, nullable=False),
    sqlite_autoincrement=True,
)

notifications = Table(
    "notifications",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("key", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try", BigInteger, nullable=False),
    Column("leased_until", BigInteger),
    Column("done_at", BigInteger),  # sent, or given up
    Column("error", Text),  # of the last attempt that failed
    Column("missing", Text),  # recipients that are still to be reached, as JSON; NULL: all of them
    Column("place", Text),
    UniqueConstraint("channel", "key", name="one_notification_of_a_notice"),
    sqlite_autoincrement=True,
)
_WAITING = notifications.c.done_at.is_(None)
Index(
    "notifications_waiting",
    notifications.c.channel,
    notifications.c.seq,
    sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)
Index("notifications_by_subject", notifications.c.channel, notifications.c.subject, notifications.c.seq)
