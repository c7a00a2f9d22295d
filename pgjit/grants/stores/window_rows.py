"""The table of windows: reading a row, inserting one, the latest of an identity, ending, revoking, signing off."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pgjit.errors import AccessRefused
from pgjit.grants import request_lifecycle
from pgjit.grants.actor import Actor
from pgjit.grants.listing import ListPage, WindowFilter
from pgjit.grants.lock import Lock
from pgjit.grants.request import RequestState
from pgjit.grants.request_refusals import AlreadySignedOff, SignedOffByUser, WindowNotOver, WindowUnknown
from pgjit.grants.scope import Scope
from pgjit.grants.standing_orders import StandingOrders
from pgjit.grants.stores.clock_floor import note_moment
from pgjit.grants.stores.journal_entries import add_entry
from pgjit.grants.stores.lock_rows import kept_kills, locks_in_force
from pgjit.grants.stores.request_rows import live_requests, save_request
from pgjit.grants.stores.schema import from_micros, to_micros, windows
from pgjit.grants.value_text import ACTOR, HOLDER, KEYS, SIGN_OFF, WINDOW
from pgjit.grants.window import SignOff, Window
from pgjit.identity.identity import IdentityKey

__all__ = [
    "insert_window",
    "one_window",
    "opened_since",
    "page_of_windows",
    "read_window",
    "revoke_windows",
    "sign_off_window",
    "standing_orders",
    "window_row",
]


def opened_since(connection: sa.Connection, identity: IdentityKey, policy: str, since: datetime) -> int:
    """How many windows of the identity opened after `since`, those of agents that act for it included."""
    query = sa.select(sa.func.count()).where(
        windows.c.tid == identity.tid,
        windows.c.oid == identity.oid,
        windows.c.policy == policy,
        windows.c.opened_at > to_micros(since),
    )
    return int(connection.execute(query).scalar_one())


def insert_window(connection: sa.Connection, window: Window, *, first: bool = False) -> None:
    """INVARIANT: one window of a holder and policy is current. One that is over makes way in this transaction.

    `first`: there is no window of the holder under the policy that might be current.
    """
    holder = (
        windows.c.tid == window.identity.tid,
        windows.c.oid == window.identity.oid,
        windows.c.acting == (window.holder_key.program or ""),
        windows.c.policy == window.policy,
    )
    if not first:
        connection.execute(sa.update(windows).where(*holder, windows.c.current.is_not(None)).values(current=None))
    connection.execute(sa.insert(windows).values(**window_row(window), current=1))


def one_window(connection: sa.Connection, window_id: str) -> Window | None:
    row = connection.execute(sa.select(windows).where(windows.c.id == window_id)).one_or_none()
    return None if row is None else read_window(row)


def page_of_windows(
    connection: sa.Connection, narrowed: WindowFilter, after: str | None, limit: int
) -> ListPage[Window]:
    query = sa.select(windows).order_by(windows.c.seq.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(windows.c.seq < int(after))
    if narrowed.ended is not None:
        query = query.where(windows.c.ended_at.is_not(None) if narrowed.ended else windows.c.ended_at.is_(None))
    if narrowed.identity is not None:
        query = query.where(windows.c.tid == narrowed.identity.tid, windows.c.oid == narrowed.identity.oid)
    if narrowed.policy is not None:
        query = query.where(windows.c.policy == narrowed.policy)
    if narrowed.connection is not None:
        query = query.where(windows.c.connection == narrowed.connection)
    if narrowed.unsigned:
        query = query.where(windows.c.break_glass.is_(True), windows.c.signed_off.is_(None))
    rows = connection.execute(query).all()
    return ListPage(
        tuple(read_window(row) for row in rows[:limit]), str(rows[limit - 1].seq) if len(rows) > limit else None
    )


def revoke_windows(
    connection: sa.Connection, node: str, scope: Scope, by: Actor, reason: str, at: datetime
) -> list[Window]:
    """Mark the unended windows of the scope, and withdraw its approved requests."""
    note_moment(connection, at)
    unended = sa.select(windows).where(windows.c.ended_at.is_(None), windows.c.revoked_at.is_(None))
    revoked = []
    for row in connection.execute(unended.order_by(windows.c.seq)).all():
        if not scope.covers_window(read_window(row)):
            continue
        values = {"revoked_at": to_micros(at), "revoked_by": ACTOR.write(by), "revoke_reason": reason}
        mark = sa.update(windows).where(windows.c.id == row.id, windows.c.revoked_at.is_(None))
        connection.execute(mark.values(values))
        window = one_window(connection, row.id)
        if window is not None:
            revoked.append(window)
            add_entry(connection, node, "window.revoked", window.id, WINDOW.write(window))
    for request in live_requests(connection):
        ask = request.ask
        covered = scope.covers(ask.identity, ask.policy, ask.connection, ask.programs)
        if request.state is RequestState.APPROVED and covered:
            save_request(
                connection, node, request, request_lifecycle.withdraw(request, at, f"revoked: {reason}"[:1000])
            )
    return revoked


def sign_off_window(
    connection: sa.Connection, node: str, window_id: str, sign_off: SignOff
) -> Window | AccessRefused:
    window = one_window(connection, window_id)
    if window is None:
        return WindowUnknown(window_id)
    if window.identity == sign_off.by.key:
        return SignedOffByUser(window_id)
    if not window.break_glass or window.signed_off is not None:
        return AlreadySignedOff(window_id)
    if window.ended_at is None:
        return WindowNotOver(window_id)
    text = SIGN_OFF.write(sign_off)
    connection.execute(sa.update(windows).where(windows.c.id == window_id).values(signed_off=text))
    signed = replace(window, signed_off=sign_off)
    add_entry(connection, node, "break_glass.signed_off", window_id, WINDOW.write(signed))
    return signed


def standing_orders(connection: sa.Connection, now: datetime) -> StandingOrders:
    query = sa.select(windows).where(windows.c.ended_at.is_(None), windows.c.revoked_at.is_not(None))
    revoked = tuple(read_window(row) for row in connection.execute(query.order_by(windows.c.seq)))
    locks: list[Lock] = locks_in_force(connection, now)
    return StandingOrders(revoked=revoked, locks=tuple(locks), kills=tuple(kept_kills(connection)))


def read_window(row: sa.Row[Any]) -> Window:
    return Window(
        id=row.id,
        identity=IdentityKey(row.tid, row.oid),
        policy=row.policy,
        connection=row.connection,
        opened_at=from_micros(row.opened_at),
        ends_at=from_micros(row.ends_at),
        retry_at=from_micros(row.retry_at),
        ended_at=None if row.ended_at is None else from_micros(row.ended_at),
        end_reason=row.end_reason,
        ending_at=None if row.ending_at is None else from_micros(row.ending_at),
        ending_reason=row.ending_reason,
        source=row.source,
        display=row.display,
        request=row.request_id,
        break_glass=bool(row.break_glass),
        revoked_at=None if row.revoked_at is None else from_micros(row.revoked_at),
        revoked_by=None if row.revoked_by is None else ACTOR.read(row.revoked_by),
        revoke_reason=row.revoke_reason,
        signed_off=None if row.signed_off is None else SIGN_OFF.read(row.signed_off),
        holder=None if row.holder is None else HOLDER.read(row.holder),
        own=KEYS.read(row.own),
    )


def window_row(window: Window) -> dict[str, str | int | None]:
    return {
        "id": window.id,
        "tid": window.identity.tid,
        "oid": window.identity.oid,
        "acting": window.holder_key.program or "",
        "policy": window.policy,
        "connection": window.connection,
        "opened_at": to_micros(window.opened_at),
        "ends_at": to_micros(window.ends_at),
        "retry_at": to_micros(window.retry_at),
        "source": window.source,
        "display": window.display,
        "request_id": window.request,
        "break_glass": window.break_glass,
        "holder": None if window.holder is None else HOLDER.write(window.holder),
        "own": KEYS.write(window.own),
    }
