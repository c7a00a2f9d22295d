"""The table of the keys that all nodes of a fleet have: a new one now and then, old ones until nothing needs them."""

from __future__ import annotations

import secrets
from datetime import datetime

import sqlalchemy as sa

from pgjit.grants.fleet_key import KEPT_FOR, RENEWED_AFTER, FleetKey
from pgjit.grants.stores.fleet_schema import fleet_keys
from pgjit.grants.stores.schema import from_micros, to_micros

__all__ = ["current_keys"]

_SECRET_BYTES = 32


def current_keys(connection: sa.Connection, now: datetime) -> list[FleetKey]:
    """All that are kept, the oldest first. Makes a key if there is none that is new enough."""
    connection.execute(sa.delete(fleet_keys).where(fleet_keys.c.made_at <= to_micros(now - KEPT_FOR)))
    keys = _read(connection)
    if not keys or keys[-1].made_at <= now - RENEWED_AFTER:
        values = {"made_at": to_micros(now), "secret": secrets.token_hex(_SECRET_BYTES)}
        connection.execute(sa.insert(fleet_keys).values(values))
        keys = _read(connection)
    return keys


def _read(connection: sa.Connection) -> list[FleetKey]:
    rows = connection.execute(sa.select(fleet_keys).order_by(fleet_keys.c.number))
    return [FleetKey(row.number, from_micros(row.made_at), bytes.fromhex(row.secret)) for row in rows]
