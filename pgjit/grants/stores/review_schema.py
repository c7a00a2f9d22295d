"""The tables of requests, verdicts, locks, orders to end sessions, and records that the journal has still to take.

What is queried has a column; the rest is one JSON value (`grants/value_text.py`).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text, text

from pgjit.grants.stores.schema import NUMBER, metadata

__all__ = ["journal_outbox", "locks", "requests", "session_kills", "verdicts"]

_LIVE = text("state IN ('pending', 'approved')")

requests = Table(
    "requests",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tid", Text, nullable=False),
    Column("oid", Text, nullable=False),
    Column("acting", Text, nullable=False, server_default=""),  # the agent that acts for the identity
    Column("policy", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),  # when it lapses, if it is live
    Column("body", Text, nullable=False),
    CheckConstraint(
        "state IN ('pending', 'approved', 'refused', 'lapsed', 'withdrawn', 'used')", name="a_request_has_a_state"
    ),
    sqlite_autoincrement=True,
)
Index("requests_by_holder", requests.c.tid, requests.c.oid, requests.c.policy, requests.c.seq)
Index("requests_due", requests.c.due_at, sqlite_where=_LIVE, postgresql_where=_LIVE)
Index(
    "one_live_request",
    requests.c.tid,
    requests.c.oid,
    requests.c.acting,
    requests.c.policy,
    unique=True,
    sqlite_where=_LIVE,
    postgresql_where=_LIVE,
)

verdicts = Table(  # the request's body has them; this holds each person to one
    "verdicts",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("tid", Text, primary_key=True),
    Column("oid", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

locks = Table(
    "locks",
    metadata,
    Column("seq", NUMBER, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("until", BigInteger),
    Column("lifted_at", BigInteger),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)

session_kills = Table(
    "session_kills",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

journal_outbox = Table(
    "journal_outbox",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("node", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("note", Text, nullable=False),
    sqlite_autoincrement=True,
)
Index("journal_outbox_of_node", journal_outbox.c.node, journal_outbox.c.id)
