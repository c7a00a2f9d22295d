"""The table of requests: each change is compared with the version that was read, and recorded with it.

`grants/request_lifecycle.py` decides the changes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa

from pgjit.errors import AccessRefused
from pgjit.grants import request_lifecycle
from pgjit.grants.holder import HolderKey
from pgjit.grants.listing import ListPage, RequestFilter
from pgjit.grants.lock import matching_lock
from pgjit.grants.request import Request, RequestState
from pgjit.grants.request_refusals import (
    Locked,
    RequestLapsed,
    RequestUnknown,
    ReviewRefused,
    TooManyRequests,
)
from pgjit.grants.stores.clock_floor import latest_moment, note_idle_moment, note_moment
from pgjit.grants.stores.journal_entries import add_entry
from pgjit.grants.stores.lock_rows import locks_in_force
from pgjit.grants.stores.review_schema import requests, verdicts
from pgjit.grants.stores.schema import to_micros
from pgjit.grants.value_text import REQUEST_TEXT, VERDICT

__all__ = [
    "change_request",
    "file_request",
    "lapse_requests",
    "latest_request",
    "live_requests",
    "one_request",
    "page_of_requests",
    "save_request",
]

_LIVE = [each.value for each in RequestState if each.live]


def one_request(connection: sa.Connection, request_id: str) -> Request | None:
    body = connection.execute(sa.select(requests.c.body).where(requests.c.id == request_id)).scalar_one_or_none()
    return None if body is None else REQUEST_TEXT.read(body)


def latest_request(connection: sa.Connection, holder: HolderKey, policy: str) -> Request | None:
    query = sa.select(requests.c.body).where(*_held_by(holder, policy)).order_by(requests.c.seq.desc()).limit(1)
    body = connection.execute(query).scalar_one_or_none()
    return None if body is None else REQUEST_TEXT.read(body)


def live_requests(connection: sa.Connection) -> list[Request]:
    query = sa.select(requests.c.body).where(requests.c.state.in_(_LIVE)).order_by(requests.c.seq)
    return [REQUEST_TEXT.read(body) for body in connection.execute(query).scalars()]


def file_request(
    connection: sa.Connection, node: str, request: Request, now: datetime, at_most: int
) -> Request | AccessRefused:
    """The request that is live then; or a refusal, and what was changed before it stays."""
    ask = request.ask
    at = max(now, latest_moment(connection) or now)
    note_moment(connection, now)
    lock = matching_lock(locks_in_force(connection, now), ask.identity, ask.policy, ask.connection, now, ask.programs)
    if lock is not None:
        return Locked(lock)
    latest = latest_request(connection, ask.holder_key, ask.policy)
    if latest is not None and request_lifecycle.is_due(latest, at):
        latest = save_request(connection, node, latest, request_lifecycle.lapse(latest, at))
    if latest is not None and latest.state.live and latest.ask.digest == ask.digest:
        return latest
    # A person who was refused does not ask again through an agent.
    of_person = latest if ask.acting is None else latest_request(connection, HolderKey(ask.identity), ask.policy)
    for refused in (latest, of_person):
        if refused is not None and refused.retry_at is not None and at < refused.retry_at:
            return ReviewRefused(refused)
    recent = sa.select(sa.func.count()).where(
        *_held_by(ask.holder_key, ask.policy), requests.c.created_at > to_micros(at - timedelta(hours=1))
    )
    if connection.execute(recent).scalar_one() >= at_most:
        return TooManyRequests(ask.policy, at_most)
    if latest is not None and latest.state.live:
        withdrawn = request_lifecycle.withdraw(latest, now, "something else was asked")
        save_request(connection, node, latest, withdrawn)
    connection.execute(sa.insert(requests).values(**_key(request), **_values(request)))
    add_entry(connection, node, "request.made", request.id, REQUEST_TEXT.write(request))
    return request


def change_request(
    connection: sa.Connection, node: str, request_id: str, change: Callable[[Request], Request], now: datetime
) -> Request | AccessRefused:
    """The changed request; or RequestUnknown or RequestLapsed. What `change` raises leaves everything as it was."""
    request = one_request(connection, request_id)
    if request is None:
        return RequestUnknown(request_id)
    at = max(now, latest_moment(connection) or now)
    note_moment(connection, now)
    if request_lifecycle.is_due(request, at):
        return RequestLapsed(save_request(connection, node, request, request_lifecycle.lapse(request, at)))
    return save_request(connection, node, request, change(request))


def lapse_requests(connection: sa.Connection, node: str, now: datetime) -> list[Request]:
    query = sa.select(requests.c.body).where(requests.c.state.in_(_LIVE), requests.c.due_at <= to_micros(now))
    due = [REQUEST_TEXT.read(body) for body in connection.execute(query).scalars()]
    if due:
        note_moment(connection, now)
    else:
        note_idle_moment(connection, now)
    return [save_request(connection, node, each, request_lifecycle.lapse(each, now)) for each in due]


def save_request(connection: sa.Connection, node: str, before: Request, after: Request) -> Request:
    """Write the change, its verdict and its records. INVARIANT: of two changes of one version, one is written."""
    if after is before:
        return before
    written = connection.execute(
        sa.update(requests)
        .where(
            requests.c.id == before.id, requests.c.version == before.version, requests.c.state == before.state.value
        )
        .values(**_values(after))
    )
    if written.rowcount != 1:
        raise sa.exc.DBAPIError("a request was changed meanwhile", None, ValueError(before.id))
    for verdict in after.verdicts[len(before.verdicts) :]:
        person = {"tid": verdict.by.key.tid, "oid": verdict.by.key.oid}
        connection.execute(sa.insert(verdicts).values(request_id=after.id, **person, body=VERDICT.write(verdict)))
        add_entry(connection, node, "request.verdict", after.id, REQUEST_TEXT.write(after))
    if after.state is not before.state:
        add_entry(connection, node, "request.ended", after.id, REQUEST_TEXT.write(after))
    return after


def page_of_requests(
    connection: sa.Connection, narrowed: RequestFilter, after: str | None, limit: int
) -> ListPage[Request]:
    query = sa.select(requests.c.seq, requests.c.body).order_by(requests.c.seq.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(requests.c.seq < int(after))
    if narrowed.states is not None:
        query = query.where(requests.c.state.in_([each.value for each in narrowed.states]))
    if narrowed.identity is not None:
        query = query.where(requests.c.tid == narrowed.identity.tid, requests.c.oid == narrowed.identity.oid)
    if narrowed.policy is not None:
        query = query.where(requests.c.policy == narrowed.policy)
    rows = connection.execute(query).all()
    items = tuple(REQUEST_TEXT.read(row.body) for row in rows[:limit])
    return ListPage(items, str(rows[limit - 1].seq) if len(rows) > limit else None)


def _held_by(holder: HolderKey, policy: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        requests.c.tid == holder.identity.tid,
        requests.c.oid == holder.identity.oid,
        requests.c.acting == (holder.program or ""),
        requests.c.policy == policy,
    )


def _key(request: Request) -> dict[str, str | int]:
    ask = request.ask
    return {
        "id": request.id,
        "tid": ask.identity.tid,
        "oid": ask.identity.oid,
        "acting": ask.acting or "",
        "policy": ask.policy,
        "connection": ask.connection,
        "digest": ask.digest,
        "created_at": to_micros(request.created_at),
    }


def _values(request: Request) -> dict[str, str | int]:
    return {
        "state": request.state.value,
        "version": request.version,
        "due_at": to_micros(request.open_by or request.lapses_at),
        "body": REQUEST_TEXT.write(request),
    }
