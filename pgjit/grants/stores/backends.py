"""The table of backends: a row from the start of a session until its backend is seen to be gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from pgjit.grants.kept_backend import KeptBackend
from pgjit.grants.server_process import ServerProcess
from pgjit.grants.session_elsewhere import SessionElsewhere
from pgjit.grants.stores.database import upsert
from pgjit.grants.stores.schema import backends, windows
from pgjit.grants.stores.window_rows import read_window
from pgjit.identity.identity import IdentityKey

__all__ = ["kept_backends", "note_backends", "sessions_elsewhere"]


def kept_backends(connection: sa.Connection, node: str | None = None) -> list[KeptBackend]:
    """Those of one node, or all. Raises ValueError, KeyError or TypeError for a row that pgjit did not write."""
    query = sa.select(backends).order_by(backends.c.session_id)
    rows = connection.execute(query if node is None else query.where(backends.c.node == node))
    return [KeptBackend.read(row.session_id, row.window_id, row.note) for row in rows]


def sessions_elsewhere(
    connection: sa.Connection, node: str, identity: IdentityKey | None, window_ids: Collection[str] | None
) -> list[SessionElsewhere]:
    query = (
        sa.select(windows, backends.c.session_id, backends.c.node, backends.c.note)
        .join(backends, backends.c.window_id == windows.c.id)
        .where(backends.c.node != node)
        .order_by(backends.c.session_id)
    )
    if identity is not None:
        query = query.where(windows.c.tid == identity.tid, windows.c.oid == identity.oid)
    if window_ids is not None:
        query = query.where(windows.c.id.in_(list(window_ids)))
    return [
        SessionElsewhere(id=row.session_id, node=row.node, window=read_window(row), process=_process(row))
        for row in connection.execute(query)
    ]


def _process(row: sa.Row[Any]) -> ServerProcess | None:
    """None for an entry that cannot be read: it must not hide the others."""
    try:
        return KeptBackend.read(row.session_id, row.id, row.note).process
    except (KeyError, TypeError, ValueError):
        return None


def note_backends(connection: sa.Connection, node: str, begun: Sequence[KeptBackend], over: Collection[str]) -> None:
    if begun:
        rows = [
            {"session_id": one.session_id, "window_id": one.window_id, "node": node, "note": one.note}
            for one in begun
        ]
        connection.execute(upsert(connection, backends).on_conflict_do_nothing(), rows)
    if over:
        connection.execute(sa.delete(backends).where(backends.c.session_id.in_(list(over))))
