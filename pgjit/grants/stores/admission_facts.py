"""What the store knows at a login, read by one statement: the moment, the locks, and the windows of the identity.

Decides nothing. A store on a server answers once for all of it: many logins at once wait for each other's answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson
import sqlalchemy as sa

from pgjit.grants.lock import Lock
from pgjit.grants.stores.fleet_schema import window_nodes
from pgjit.grants.stores.review_schema import locks
from pgjit.grants.stores.schema import clock, from_micros, to_micros, windows
from pgjit.grants.stores.window_rows import read_window
from pgjit.grants.value_text import LOCK
from pgjit.grants.window import Window
from pgjit.identity.identity import IdentityKey

__all__ = ["KnownWindow", "LoginFacts", "login_facts"]


@dataclass(frozen=True, slots=True)
class KnownWindow:
    window: Window
    held: bool  # by this node
    sessions: int  # of the other nodes


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """`windows`: of the identity and of those that act for it, under the policy, the newest first.

    Windows after which a next one could open already when the store was used last may be missing.
    """

    seen: datetime | None  # the latest moment in the store
    tokens_from: int | None
    locks: tuple[Lock, ...]  # in force
    windows: tuple[KnownWindow, ...]


def login_facts(
    connection: sa.Connection, node: str, identity: IdentityKey, policy: str, now: datetime
) -> LoginFacts:
    query = _QUERIES[connection.dialect.name == "postgresql"]
    values = {
        "of_node": node,
        "holder_tid": identity.tid,
        "holder_oid": identity.oid,
        "under_policy": policy,
        "at": to_micros(now),
    }
    rows = connection.execute(query, values).all()
    first = rows[0]
    in_force = [LOCK.read(body) for body in orjson.loads(first.locks or "[]")]
    return LoginFacts(
        seen=None if first.seen_at is None else from_micros(first.seen_at),
        tokens_from=first.tokens_from,
        locks=tuple(sorted(in_force, key=lambda lock: (lock.set_at, lock.id))),
        windows=tuple(
            KnownWindow(read_window(row), row.held is not None, int(row.sessions or 0))
            for row in rows
            if row.seq is not None
        ),
    )


def _query(as_list: sa.Function[str]) -> sa.Select[tuple[object, ...]]:
    """One row for each window, or one without a window."""
    at: sa.BindParameter[int] = sa.bindparam("at", type_=sa.BigInteger)
    in_force = sa.and_(locks.c.lifted_at.is_(None), sa.or_(locks.c.until.is_(None), locks.c.until > at))
    of_window = window_nodes.c.window_id == windows.c.id
    held = sa.select(window_nodes.c.sessions).where(of_window, window_nodes.c.node == sa.bindparam("of_node"))
    others = sa.select(sa.func.sum(window_nodes.c.sessions))
    others = others.where(of_window, window_nodes.c.node != sa.bindparam("of_node"))
    since = sa.case((clock.c.seen_at.is_(None), -1), (clock.c.seen_at < at, clock.c.seen_at), else_=at)
    of_identity = sa.and_(
        windows.c.tid == sa.bindparam("holder_tid"),
        windows.c.oid == sa.bindparam("holder_oid"),
        windows.c.policy == sa.bindparam("under_policy"),
        sa.or_(windows.c.current == 1, windows.c.retry_at > since),
    )
    one = sa.select(sa.literal(1).label("one")).subquery()
    return (
        sa.select(
            windows,
            clock.c.seen_at,
            clock.c.tokens_from,
            sa.select(sa.cast(as_list, sa.Text)).where(in_force).scalar_subquery().label("locks"),
            held.scalar_subquery().label("held"),
            others.scalar_subquery().label("sessions"),
        )
        .select_from(one.outerjoin(clock, clock.c.id == 1).outerjoin(windows, of_identity))
        .order_by(windows.c.seq.desc())
    )


# Made once: SQLAlchemy caches what it compiles by the statement object.
_QUERIES = {
    True: _query(sa.func.json_agg(locks.c.body)),
    False: _query(sa.func.json_group_array(locks.c.body)),
}
