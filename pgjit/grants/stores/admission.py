"""The transaction of a login: it reads what `grants/lifecycle.py` decides from, and writes what it decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import orjson
import sqlalchemy as sa

from pgjit.errors import AccessRefused
from pgjit.grants import request_lifecycle
from pgjit.grants.holder import HolderKey
from pgjit.grants.lifecycle import Facts, Join, Open, ask_of, decide, effective_end
from pgjit.grants.request_refusals import TooManySessions
from pgjit.grants.stores.clock_floor import latest_moment, note_moment
from pgjit.grants.stores.journal_entries import add_entry
from pgjit.grants.stores.lock_rows import locks_in_force
from pgjit.grants.stores.request_rows import latest_request, save_request
from pgjit.grants.stores.schema import clock, outbox, to_micros, used_tokens
from pgjit.grants.stores.window_nodes import hold_window, sessions_of_others
from pgjit.grants.stores.window_rows import insert_window, latest_windows, opened_since
from pgjit.grants.value_text import WINDOW
from pgjit.grants.window import Login, LoginAsk, Window
from pgjit.identity.identity import IdentityKey
from pgjit.policy.grant_terms import Grant
from pgjit.policy.policy import Policy
from pgjit.random_id import random_id

__all__ = ["admit"]

_KEPT_AFTER = timedelta(hours=1)  # more than any difference of clocks that is accepted
_DAY = timedelta(days=1)


def admit(
    connection: sa.Connection,
    node: str,
    identity: IdentityKey,
    policy: Policy,
    now: datetime,
    login: Login | None,
    note: str | None,
    ask: LoginAsk | None,
    sessions: int = 0,
) -> tuple[Window, bool] | AccessRefused | TooManySessions:
    """The window, and whether this call opened it; or a refusal, with the moment noted all the same."""
    once = login if policy.identity.single_use_token else None
    facts = _facts(connection, node, identity, policy, now, login, ask)
    since = None if facts.seen is None else min(now, facts.seen)
    known = latest_windows(connection, identity, policy.name, since)
    acting = None if login is None else login.acting
    latest = next((each for each in known if each.holder_key.program == acting), None)
    facts = replace(facts, beside=tuple(each for each in known if each.holder_key.program != acting))
    decision = decide(latest, policy, now, facts)
    if isinstance(decision, Join) and (refusal := _too_many(connection, decision.window.id, node, policy, sessions)):
        return refusal
    if once is not None and isinstance(decision, Join | Open):
        _use_up(connection, identity, policy.name, once, now)
    note_moment(connection, now, exactly=_seen_to_be_over(known, policy, now, facts.seen))
    if isinstance(decision, Join):
        hold_window(connection, decision.window.id, node, sessions)
        return decision.window, False
    if not isinstance(decision, Open):
        return decision.error()
    window = _window(decision, identity, policy, login)
    if decision.request is not None:
        at = now if facts.seen is None else max(now, facts.seen)
        used = request_lifecycle.use(decision.request, ask_of(decision.request, policy, ask, login), window.id, at)
        save_request(connection, node, decision.request, used)
    insert_window(connection, window)
    hold_window(connection, window.id, node, sessions)
    if window.break_glass:
        written = {"window": WINDOW.write(window), "reason": None if ask is None else ask.reason}
        add_entry(connection, node, "break_glass.used", window.id, orjson.dumps(written).decode())
    if note is not None:
        connection.execute(sa.insert(outbox).values(window_id=window.id, kind="opened", node=node, note=note))
    return window, True


def _too_many(
    connection: sa.Connection, window_id: str, node: str, policy: Policy, sessions: int
) -> TooManySessions | None:
    """The refusal, if the sessions of all nodes are more than the policy allows."""
    most = policy.limits.sessions
    if most is not None and sessions + sessions_of_others(connection, window_id, node) > most:
        return TooManySessions(most)
    return None


def _seen_to_be_over(known: Iterable[Window], policy: Policy, now: datetime, seen: datetime | None) -> bool:
    """The store does not have a moment yet at which a window is over. It stays so, if the clock is set back."""
    ends = [effective_end(each, policy) for each in known]
    return any(now >= end and (seen is None or seen < end) for end in ends)


def _facts(
    connection: sa.Connection,
    node: str,
    identity: IdentityKey,
    policy: Policy,
    now: datetime,
    login: Login | None,
    ask: LoginAsk | None,
) -> Facts:
    seen = latest_moment(connection)
    at = now if seen is None else max(now, seen)
    request = None
    if policy.grant is Grant.REVIEW:
        request = latest_request(connection, HolderKey(identity, login.acting if login else None), policy.name)
        if request is not None and request_lifecycle.is_due(request, at):
            request = save_request(connection, node, request, request_lifecycle.lapse(request, at))
    once = login if policy.identity.single_use_token else None
    return Facts(
        identity=identity,
        seen=seen,
        login=login,
        ask=ask,
        token_used=once is not None and _may_be_used(connection, identity, policy.name, once),
        locks=tuple(locks_in_force(connection, now)),
        opened_today=0
        if policy.terms.max_per_day is None
        else opened_since(connection, identity, policy.name, at - _DAY),
        request=request,
    )


def _may_be_used(connection: sa.Connection, identity: IdentityKey, policy: str, login: Login) -> bool:
    tokens_from = connection.execute(sa.select(clock.c.tokens_from)).scalar_one_or_none()
    if tokens_from is not None and (login.token_issued_at is None or to_micros(login.token_issued_at) <= tokens_from):
        return True  # the store had lost windows, and with them the used tokens
    rows = connection.execute(
        sa.select(used_tokens.c.used_at).where(
            used_tokens.c.tid == identity.tid,
            used_tokens.c.token_id == login.token_id,
            used_tokens.c.policy == policy,
        )
    )
    return rows.first() is not None


def _use_up(connection: sa.Connection, identity: IdentityKey, policy: str, login: Login, now: datetime) -> None:
    """Keep the token for as long as it could be used again, and delete those that have expired."""
    connection.execute(sa.delete(used_tokens).where(used_tokens.c.keep_until < to_micros(now)))
    connection.execute(
        sa.insert(used_tokens).values(
            tid=identity.tid,
            token_id=login.token_id,
            policy=policy,
            used_at=to_micros(now),
            keep_until=to_micros(login.token_ends_at + _KEPT_AFTER),
        )
    )


def _window(times: Open, identity: IdentityKey, policy: Policy, login: Login | None) -> Window:
    return Window(
        id=f"w_{random_id()}",
        identity=identity,
        policy=policy.name,
        connection=policy.connection,
        opened_at=times.opened_at,
        ends_at=times.ends_at,
        retry_at=times.retry_at,
        source=None if login is None else login.source,
        display=None if login is None else login.display,
        request=None if times.request is None else times.request.id,
        break_glass=policy.terms.break_glass,
        holder=None if login is None else login.holder,
        own=frozenset() if login is None else login.own,
    )
