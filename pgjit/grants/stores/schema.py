"""The tables of the window store, as SQLAlchemy knows them. The migrations create them, and triggers on them.

Moments are whole microseconds since 1970-01-01 UTC: no database can read a time zone into them, and they
compare as they are.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, MetaData, Table, Text, false

__all__ = [
    "NUMBER",
    "backends",
    "clock",
    "from_micros",
    "journal_marks",
    "metadata",
    "outbox",
    "to_micros",
    "usages",
    "used_tokens",
    "windows",
]

metadata = MetaData()

NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER alone

windows = Table(
    "windows",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),  # the order of opening, whatever clocks say
    Column("id", Text, nullable=False, unique=True),
    Column("tid", Text, nullable=False),
    Column("oid", Text, nullable=False),
    Column("acting", Text, nullable=False, server_default=""),  # the agent that acts for the identity
    Column("policy", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("retry_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("end_reason", Text),
    Column("ending_at", BigInteger),  # a node has ended its sessions; others have still to end theirs
    Column("ending_reason", Text),
    Column("source", Text),  # the address that opened it
    Column("display", Text),  # of its holder
    Column("request_id", Text),
    Column("break_glass", Boolean, nullable=False, server_default=false()),
    Column("current", Integer),  # 1: the one that logins join; None: it is over, or another one took its place
    Column("revoked_at", BigInteger),
    Column("revoked_by", Text),
    Column("revoke_reason", Text),
    Column("signed_off", Text),
    Column("holder", Text),
    Column("own", Text, nullable=False, server_default="[]"),
    CheckConstraint("ends_at > opened_at", name="a_window_ends_after_it_opened"),
    CheckConstraint("retry_at >= ends_at", name="the_next_window_comes_after_this_one"),
    CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="an_end_has_a_reason"),
    CheckConstraint("current IS NULL OR current = 1", name="a_window_is_current_or_not"),
    sqlite_autoincrement=True,
)
Index("windows_by_holder", windows.c.tid, windows.c.oid, windows.c.policy, windows.c.seq)
Index(
    "one_current_window",
    windows.c.tid,
    windows.c.oid,
    windows.c.acting,
    windows.c.policy,
    unique=True,
    sqlite_where=windows.c.current.is_not(None),
    postgresql_where=windows.c.current.is_not(None),
)
Index(
    "windows_unended",
    windows.c.seq,
    sqlite_where=windows.c.ended_at.is_(None),
    postgresql_where=windows.c.ended_at.is_(None),
)

used_tokens = Table(
    "used_tokens",
    metadata,
    Column("tid", Text, primary_key=True),
    Column("token_id", Text, primary_key=True),
    Column("policy", Text, primary_key=True),
    Column("used_at", BigInteger, nullable=False),
    Column("keep_until", BigInteger, nullable=False),  # an expired token need not be remembered
)
Index("used_tokens_by_age", used_tokens.c.keep_until)

usages = Table(
    "usage",
    metadata,
    Column("window_id", Text, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("statements", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("window_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("node", Text, nullable=False),  # whose journal takes the record
    Column("note", Text, nullable=False),
    CheckConstraint("kind IN ('opened', 'ended')", name="a_window_is_opened_and_ended"),
)

clock = Table(
    "clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("seen_at", BigInteger, nullable=False),
    Column("tokens_from", BigInteger),  # when lost windows were restored: earlier tokens may have been used
    CheckConstraint("id = 1", name="there_is_one_clock"),
)

journal_marks = Table(
    "journal_marks",
    metadata,
    Column("journal", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
)

denials = Table(
    "denials",
    metadata,
    Column("tid", Text, primary_key=True),
    Column("oid", Text, primary_key=True),
    Column("is_user", Boolean, primary_key=True),
    Column("acting", Boolean, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("groups", Text, nullable=False),  # of which it is still a member, as a JSON list
    Column("keep_until", BigInteger, nullable=False),  # no earlier token is valid for longer
)

backends = Table(
    "backends",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("window_id", Text, nullable=False),
    Column("node", Text, nullable=False),  # which has the session
    Column("note", Text, nullable=False),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
