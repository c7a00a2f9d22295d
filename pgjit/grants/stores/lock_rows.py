"""The tables of locks and of sessions to kill: what every node enforces. Decides nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import orjson
import sqlalchemy as sa

from pgjit.grants.actor import Actor
from pgjit.grants.lock import Lock
from pgjit.grants.standing_orders import SessionKill
from pgjit.grants.stores.database import upsert
from pgjit.grants.stores.journal_entries import add_entry
from pgjit.grants.stores.review_schema import locks, session_kills
from pgjit.grants.stores.schema import to_micros
from pgjit.grants.value_text import ACTOR, KILL, LOCK

__all__ = ["delete_kill", "keep_kill", "kept_kills", "lift_lock", "locks_in_force", "set_lock"]


def set_lock(connection: sa.Connection, node: str, lock: Lock) -> None:
    until = None if lock.until is None else to_micros(lock.until)
    values = {"id": lock.id, "until": until, "body": LOCK.write(lock)}
    if connection.execute(upsert(connection, locks).values(values).on_conflict_do_nothing()).rowcount == 1:
        add_entry(connection, node, "lock.set", lock.id, LOCK.write(lock))


def lift_lock(
    connection: sa.Connection, node: str, lock_id: str, by: Actor, reason: str, at: datetime
) -> Lock | None:
    in_force = {each.id: each for each in locks_in_force(connection, at)}
    if lock_id not in in_force:
        return None
    lifted = replace(in_force[lock_id], lifted_at=at)
    connection.execute(
        sa.update(locks).where(locks.c.id == lock_id).values(lifted_at=to_micros(at), body=LOCK.write(lifted))
    )
    note = orjson.dumps({"lock": LOCK.write(lifted), "by": ACTOR.write(by), "reason": reason, "at": at}).decode()
    add_entry(connection, node, "lock.lifted", lock_id, note)
    return lifted


def locks_in_force(connection: sa.Connection, now: datetime) -> list[Lock]:
    in_force = sa.or_(locks.c.until.is_(None), locks.c.until > to_micros(now))
    query = sa.select(locks.c.body).where(locks.c.lifted_at.is_(None), in_force).order_by(locks.c.seq)
    return [LOCK.read(body) for body in connection.execute(query).scalars()]


def keep_kill(connection: sa.Connection, node: str, kill: SessionKill) -> None:
    values = {"session_id": kill.session_id, "at": to_micros(kill.at), "body": KILL.write(kill)}
    if connection.execute(upsert(connection, session_kills).values(values).on_conflict_do_nothing()).rowcount == 1:
        add_entry(connection, node, "session.killed", kill.session_id, KILL.write(kill))


def delete_kill(connection: sa.Connection, session_id: str) -> None:
    connection.execute(sa.delete(session_kills).where(session_kills.c.session_id == session_id))


def kept_kills(connection: sa.Connection) -> list[SessionKill]:
    return [KILL.read(body) for body in connection.execute(sa.select(session_kills.c.body)).scalars()]
