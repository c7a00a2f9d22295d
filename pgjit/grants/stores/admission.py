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
from pgjit.grants.stores.admission_facts import LoginFacts, login_facts
from pgjit.grants.stores.clock_floor import is_late, note_later_moment
from pgjit.grants.stores.journal_entries import add_entry
from pgjit.grants.stores.request_rows import latest_request, save_request
from pgjit.grants.stores.schema import outbox, to_micros, used_tokens
from pgjit.grants.stores.window_nodes import hold_window
from pgjit.grants.stores.window_rows import insert_window, opened_since
from pgjit.grants.value_text import WINDOW
from pgjit.grants.window import Login, LoginAsk, Window
from pgjit.identity.identity import IdentityKey
from pgjit.policy.grant_terms import Grant
from pgjit.policy.policy import Policy
from pgjit.random_id import random_id

__all__ = ["admit", "joined"]

_KEPT_AFTER = timedelta(hours=1)  # more than any difference of clocks that is accepted
_DAY = timedelta(days=1)


def joined(
    connection: sa.Connection, node: str, identity: IdentityKey, policy: Policy, now: datetime, login: Login | None
) -> tuple[Window, bool] | None:
    """The window that the login joins, and whether the moment is to be noted; None if `admit` has to decide.

    It reads one statement, and needs no turn among the transactions: what is committed a moment later is enforced on
    every open window.
    """
    if policy.identity.single_use_token or policy.limits.sessions is not None:
        return None
    read = login_facts(connection, node, identity, policy.name, now)
    latest, facts = _facts(read, identity, login, None)
    decision = decide(latest, policy, now, facts)
    held = any(each.held for each in read.windows if latest is not None and each.window.id == latest.id)
    return (decision.window, is_late(read.seen, now)) if isinstance(decision, Join) and held else None


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
    read = login_facts(connection, node, identity, policy.name, now)
    latest, facts = _facts(read, identity, login, ask)
    facts = _more_facts(connection, node, identity, policy, now, facts, read.tokens_from)
    decision = decide(latest, policy, now, facts)
    if isinstance(decision, Join) and (refusal := _too_many(read, decision.window, policy, sessions)):
        return refusal
    if once is not None and isinstance(decision, Join | Open):
        _use_up(connection, identity, policy.name, once, now)
    over = _seen_to_be_over([each.window for each in read.windows], policy, now, read.seen)
    note_later_moment(connection, read.seen, now, exactly=over)
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
    insert_window(connection, window, first=latest is None)
    hold_window(connection, window.id, node, sessions)
    if window.break_glass:
        written = {"window": WINDOW.write(window), "reason": None if ask is None else ask.reason}
        add_entry(connection, node, "break_glass.used", window.id, orjson.dumps(written).decode())
    if note is not None:
        connection.execute(sa.insert(outbox).values(window_id=window.id, kind="opened", node=node, note=note))
    return window, True


def _too_many(read: LoginFacts, window: Window, policy: Policy, sessions: int) -> TooManySessions | None:
    """The refusal, if the sessions of all nodes are more than the policy allows."""
    most = policy.limits.sessions
    elsewhere = sum(each.sessions for each in read.windows if each.window.id == window.id)
    return TooManySessions(most) if most is not None and sessions + elsewhere > most else None


def _seen_to_be_over(known: Iterable[Window], policy: Policy, now: datetime, seen: datetime | None) -> bool:
    """The store does not have a moment yet at which a window is over. It stays so, if the clock is set back."""
    ends = [effective_end(each, policy) for each in known]
    return any(now >= end and (seen is None or seen < end) for end in ends)


def _facts(
    read: LoginFacts, identity: IdentityKey, login: Login | None, ask: LoginAsk | None
) -> tuple[Window | None, Facts]:
    """The holder's latest window, and what is decided from beside it."""
    acting = None if login is None else login.acting
    known = [each.window for each in read.windows]
    own = [each for each in known if each.holder_key.program == acting]
    beside = tuple(each for each in known if each.holder_key.program != acting)
    facts = Facts(identity=identity, seen=read.seen, login=login, ask=ask, locks=read.locks, beside=beside)
    return (own[0] if own else None), facts


def _more_facts(
    connection: sa.Connection,
    node: str,
    identity: IdentityKey,
    policy: Policy,
    now: datetime,
    facts: Facts,
    tokens_from: int | None,
) -> Facts:
    """What only some policies need."""
    at = now if facts.seen is None else max(now, facts.seen)
    login, terms = facts.login, policy.terms
    if policy.grant is Grant.REVIEW:
        holder = HolderKey(identity, None if login is None else login.acting)
        request = latest_request(connection, holder, policy.name)
        if request is not None and request_lifecycle.is_due(request, at):
            request = save_request(connection, node, request, request_lifecycle.lapse(request, at))
        facts = replace(facts, request=request)
    if terms.max_per_day is not None:
        facts = replace(facts, opened_today=opened_since(connection, identity, policy.name, at - _DAY))
    if policy.identity.single_use_token and login is not None:
        used = _may_be_used(connection, identity, policy.name, login, tokens_from)
        facts = replace(facts, token_used=used)
    return facts


def _may_be_used(
    connection: sa.Connection, identity: IdentityKey, policy: str, login: Login, tokens_from: int | None
) -> bool:
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
