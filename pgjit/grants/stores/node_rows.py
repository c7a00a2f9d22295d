"""The table of nodes: taking a name, heartbeats, and what one node takes over from another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from pgjit.grants.node import Node
from pgjit.grants.stores.database import upsert
from pgjit.grants.stores.fleet_schema import leases, nodes, window_nodes
from pgjit.grants.stores.journal_entries import add_entry
from pgjit.grants.stores.lease_rows import settle_leases
from pgjit.grants.stores.review_schema import journal_outbox
from pgjit.grants.stores.schema import backends, from_micros, outbox, to_micros, windows
from pgjit.grants.stores.window_rows import read_window
from pgjit.grants.value_text import WINDOW
from pgjit.grants.window import Window

__all__ = [
    "adopt_windows", "all_nodes", "begin_node", "database_now", "heartbeat", "stop_node", "take_over",
    "take_over_all",
]  # fmt: skip

_JULIAN_DAY_OF_1970 = 2440587.5


def database_now(connection: sa.Connection) -> datetime:
    """The clock of the database: the one clock that all nodes share."""
    if connection.dialect.name == "postgresql":
        moment: datetime = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
        return moment.astimezone(UTC)
    days: float = connection.execute(sa.text("SELECT julianday('now')")).scalar_one()
    return from_micros(round((days - _JULIAN_DAY_OF_1970) * 86_400_000) * 1000)


def all_nodes(connection: sa.Connection) -> list[Node]:
    now = database_now(connection)
    return [
        Node(
            name=row.name,
            run=row.run,
            started_at=from_micros(row.started_at),
            heartbeat_at=from_micros(row.heartbeat_at),
            silence=max(timedelta(), now - from_micros(row.heartbeat_at)),
            stopped=bool(row.stopped),
            policies=orjson.loads(row.policies),
        )
        for row in connection.execute(sa.select(nodes).order_by(nodes.c.name))
    ]


def begin_node(
    connection: sa.Connection, name: str, run: str, policies: Mapping[str, str], over: Node | None
) -> Node | None:
    """Take the name for the process `run`; or return the node that has it, and change nothing.

    `over`: a node of this name that was seen to be silent. If it has been heard of since, it keeps the name.

    The leases of an earlier process of this name count as spent: what it did at last is not known.
    """
    holder = {node.name: node for node in all_nodes(connection)}.get(name)
    silent = None if over is None else (over.run, over.heartbeat_at)
    if holder is not None and holder.runs and holder.run != run and (holder.run, holder.heartbeat_at) != silent:
        return holder
    now = to_micros(database_now(connection))
    text = orjson.dumps(dict(policies)).decode()
    values = {"run": run, "started_at": now, "heartbeat_at": now, "stopped": False, "policies": text}
    insert = upsert(connection, nodes).values(name=name, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))
    settle_leases(connection, name)
    return None


def heartbeat(
    connection: sa.Connection, name: str, run: str, policies: Mapping[str, str] | None = None
) -> datetime | None:
    """Note that the process lives; the database's clock. None: another process has taken the name."""
    now = database_now(connection)
    values: dict[str, object] = {"heartbeat_at": to_micros(now)}
    if policies is not None:
        values["policies"] = orjson.dumps(dict(policies)).decode()
    alive = sa.update(nodes).where(nodes.c.name == name, nodes.c.run == run).values(values)
    return now if connection.execute(alive).rowcount == 1 else None


def stop_node(connection: sa.Connection, name: str, run: str) -> None:
    connection.execute(sa.update(nodes).where(nodes.c.name == name, nodes.c.run == run).values(stopped=True))


def take_over_all(connection: sa.Connection, name: str) -> None:
    """Everything that nodes of other names left becomes this node's: it has the store alone."""
    for table in (backends, outbox, journal_outbox):
        connection.execute(sa.update(table).where(table.c.node != name).values(node=name))
    for other in connection.execute(sa.select(leases.c.node).distinct()).scalars().all():
        settle_leases(connection, other)
    for window_id in connection.execute(sa.select(window_nodes.c.window_id).distinct()).scalars().all():
        _give(connection, window_id, name)
    connection.execute(sa.delete(window_nodes).where(window_nodes.c.node != name))
    connection.execute(sa.delete(nodes).where(nodes.c.name != name))


def adopt_windows(connection: sa.Connection, name: str, now: datetime, stale_after: timedelta) -> list[Window]:
    """Take over the windows of dead nodes that are over, with their backends; returns these windows.

    A node is dead when it was stopped, or after `stale_after` without a heartbeat. A silent one may still run, cut
    off from the store: so only windows are taken over whose sessions that node had to end by itself. The records that
    its journal lacks stay with it.
    """
    adopted: list[Window] = []
    over = sa.or_(
        windows.c.ends_at <= to_micros(now), windows.c.revoked_at.is_not(None), windows.c.ending_at.is_not(None)
    )
    for node in all_nodes(connection):
        if node.name == name or (node.runs and node.silence < stale_after):
            continue
        held = sa.select(windows).join(window_nodes, window_nodes.c.window_id == windows.c.id)
        rows = connection.execute(held.where(window_nodes.c.node == node.name, over)).all()
        adopted += [_adopted(connection, row, name, node.name, now) for row in rows]
    return adopted


def take_over(connection: sa.Connection, name: str, dead: str, run: str, now: datetime) -> list[Window]:
    """Take over everything that the process `run` of the node `dead` has, which is known to have ended.

    Returns its windows. Nothing if another process has the name by now, or took over before.
    """
    gone = sa.update(nodes).where(nodes.c.name == dead, nodes.c.run == run, nodes.c.stopped.is_(False))
    if dead == name or connection.execute(gone.values(stopped=True)).rowcount != 1:
        return []
    settle_leases(connection, dead)
    held = sa.select(windows).join(window_nodes, window_nodes.c.window_id == windows.c.id)
    rows = connection.execute(held.where(window_nodes.c.node == dead, windows.c.ended_at.is_(None))).all()
    return [_adopted(connection, row, name, dead, now) for row in rows]


def _adopted(connection: sa.Connection, row: sa.Row[Any], name: str, dead: str, now: datetime) -> Window:
    """The window is `name`'s from now on, with the backends that the dead node left of it."""
    window = read_window(row)
    note = {"at": now.isoformat(), "window": WINDOW.write(window), "node": dead}
    add_entry(connection, name, "window.adopted", window.id, orjson.dumps(note).decode())
    _give(connection, row.id, name)
    of_node = (window_nodes.c.window_id == row.id, window_nodes.c.node == dead)
    connection.execute(sa.delete(window_nodes).where(*of_node))
    mine = sa.update(backends).where(backends.c.window_id == row.id, backends.c.node == dead)
    connection.execute(mine.values(node=name))
    return window


def _give(connection: sa.Connection, window_id: str, name: str) -> None:
    row = upsert(connection, window_nodes).values(window_id=window_id, node=name, sessions=0)
    connection.execute(row.on_conflict_do_nothing())
