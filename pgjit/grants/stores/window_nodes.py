"""The table of the nodes that have a window: who has still to end it, and how many sessions each has in it."""

from __future__ import annotations

import sqlalchemy as sa

from pgjit.grants.stores.database import upsert
from pgjit.grants.stores.fleet_schema import window_nodes

__all__ = ["held_by_any", "hold_window", "leave_window", "note_sessions"]


def hold_window(connection: sa.Connection, window_id: str, node: str, sessions: int) -> None:
    """From now on the node has the window, and the window is ended only after the node has left it."""
    insert = upsert(connection, window_nodes).values(window_id=window_id, node=node, sessions=sessions)
    connection.execute(
        insert.on_conflict_do_update(index_elements=["window_id", "node"], set_={"sessions": sessions})
    )


def leave_window(connection: sa.Connection, window_id: str, node: str) -> None:
    """The node has ended its sessions of the window."""
    of_node = (window_nodes.c.window_id == window_id, window_nodes.c.node == node)
    connection.execute(sa.delete(window_nodes).where(*of_node))


def held_by_any(connection: sa.Connection, window_id: str) -> bool:
    """Whether any node still has the window."""
    holders = sa.select(sa.func.count()).where(window_nodes.c.window_id == window_id)
    return bool(connection.execute(holders).scalar_one())


def note_sessions(connection: sa.Connection, window_id: str, node: str, sessions: int) -> None:
    of_node = (window_nodes.c.window_id == window_id, window_nodes.c.node == node)
    connection.execute(sa.update(window_nodes).where(*of_node).values(sessions=sessions))
