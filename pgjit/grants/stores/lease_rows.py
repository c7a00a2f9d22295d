"""The table of leases: which part of a window's budget each node may spend. `grants/lease.py` decides how much."""

from __future__ import annotations

import sqlalchemy as sa

from pgjit.grants.lease import RESOURCES, Lease, budget_of, next_share
from pgjit.grants.stores.database import larger, upsert
from pgjit.grants.stores.fleet_schema import leases
from pgjit.grants.stores.schema import usages
from pgjit.grants.usage import Usage
from pgjit.policy.policy import Limits

__all__ = ["add_usage", "extend_lease", "give_lease_back", "settle_leases", "usage_of"]


def usage_of(connection: sa.Connection, window_id: str) -> Usage:
    row = connection.execute(sa.select(usages).where(usages.c.window_id == window_id)).mappings().one_or_none()
    return Usage() if row is None else Usage(row["rows"], row["bytes"], row["statements"])


def extend_lease(
    connection: sa.Connection, node: str, window_id: str, limits: Limits, spent: Usage, need: Usage
) -> Lease:
    """Lease more of each resource that the policy limits, and of which less than a share is left to the node.

    `spent` is all that the node has spent of its lease; run again with the same numbers, this leases nothing twice.
    """
    settled, held = usage_of(connection, window_id), _leased(connection, window_id)
    own = held.pop(node, Usage())
    others = Usage(**{each: sum(getattr(one, each) for one in held.values()) for each in RESOURCES})
    granted = Usage()
    for each in RESOURCES:
        used = getattr(spent, each)
        has = max(getattr(own, each), used)  # refused statements count, though they were not leased
        if (budget := budget_of(limits, each)) is not None:
            free = budget - getattr(settled, each) - getattr(others, each) - has
            has += next_share(budget, free, has - used, getattr(need, each))
        setattr(granted, each, has)
    values = {**{each: getattr(granted, each) for each in RESOURCES}, **_spent(spent)}
    insert = upsert(connection, leases).values(window_id=window_id, node=node, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["window_id", "node"], set_=values))
    return Lease(granted=granted, settled=settled, others=others)


def give_lease_back(connection: sa.Connection, node: str, window_id: str, spent: Usage) -> None:
    """What was spent of the lease is settled; the rest is free again. Without a lease nothing happens."""
    own = (leases.c.window_id == window_id, leases.c.node == node)
    if connection.execute(sa.delete(leases).where(*own)).rowcount == 1:
        add_usage(connection, window_id, spent)


def settle_leases(connection: sa.Connection, node: str) -> None:
    """The leases of a process that is dead: all of each counts as spent."""
    for row in connection.execute(sa.select(leases).where(leases.c.node == node)).mappings().all():
        add_usage(connection, row["window_id"], Usage(row["rows"], row["bytes"], row["statements"]))
    connection.execute(sa.delete(leases).where(leases.c.node == node))


def add_usage(connection: sa.Connection, window_id: str, used: Usage) -> None:
    total = usage_of(connection, window_id)
    values = {each: getattr(total, each) + getattr(used, each) for each in RESOURCES}
    grown = {each: larger(usages.c[each], value) for each, value in values.items()}
    insert = upsert(connection, usages).values(window_id=window_id, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["window_id"], set_=grown))


def _leased(connection: sa.Connection, window_id: str) -> dict[str, Usage]:
    rows = connection.execute(sa.select(leases).where(leases.c.window_id == window_id)).mappings()
    return {row["node"]: Usage(row["rows"], row["bytes"], row["statements"]) for row in rows}


def _spent(spent: Usage) -> dict[str, int]:
    return {f"spent_{each}": getattr(spent, each) for each in RESOURCES}
