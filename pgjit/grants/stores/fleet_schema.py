"""The tables of a fleet: its nodes and their keys, which node has which window, what of a budget it has leased."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Integer, Table, Text, false

from pgjit.grants.stores.schema import NUMBER, metadata

__all__ = ["fleet_keys", "leases", "nodes", "window_nodes"]

nodes = Table(
    "nodes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("run", Text, nullable=False),  # one process; the next one under this name has another
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),  # by the clock of the database
    Column("stopped", Boolean, nullable=False, server_default=false()),
    Column("policies", Text, nullable=False),  # version by name, as JSON
)

fleet_keys = Table(
    "fleet_keys",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("made_at", BigInteger, nullable=False),
    Column("secret", Text, nullable=False),  # hexadecimal
    sqlite_autoincrement=True,
)

window_nodes = Table(  # a window is ended when no node has it any more
    "window_nodes",
    metadata,
    Column("window_id", Text, primary_key=True),
    Column("node", Text, primary_key=True),
    Column("sessions", Integer, nullable=False),  # of its identity under its policy, for the limit of sessions
)

leases = Table(
    "leases",
    metadata,
    Column("window_id", Text, primary_key=True),
    Column("node", Text, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("statements", BigInteger, nullable=False),
    Column("spent_rows", BigInteger, nullable=False),
    Column("spent_bytes", BigInteger, nullable=False),
    Column("spent_statements", BigInteger, nullable=False),
    CheckConstraint(
        "spent_rows <= rows AND spent_bytes <= bytes AND spent_statements <= statements",
        name="nothing_is_spent_that_is_not_leased",
    ),
)
