"""The table of backends: a row from the start of a session until its backend is seen to be gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from pgjit.grants.kept_backend import KeptBackend
from pgjit.grants.stores.database import upsert
from pgjit.grants.stores.schema import backends

__all__ = ["kept_backends", "note_backends"]


def kept_backends(connection: sa.Connection, node: str | None = None) -> list[KeptBackend]:
    """Those of one node, or all. Raises ValueError, KeyError or TypeError for a row that pgjit did not write."""
    query = sa.select(backends).order_by(backends.c.session_id)
    rows = connection.execute(query if node is None else query.where(backends.c.node == node))
    return [KeptBackend.read(row.session_id, row.window_id, row.note) for row in rows]


def note_backends(connection: sa.Connection, node: str, begun: Sequence[KeptBackend], over: Collection[str]) -> None:
    if begun:
        rows = [
            {"session_id": one.session_id, "window_id": one.window_id, "node": node, "note": one.note}
            for one in begun
        ]
        connection.execute(upsert(connection, backends).on_conflict_do_nothing(), rows)
    if over:
        connection.execute(sa.delete(backends).where(backends.c.session_id.in_(list(over))))
