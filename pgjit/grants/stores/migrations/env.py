"""What Alembic runs: the steps, on the connection and inside the transaction that the store gives."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from pgjit.grants.stores.schema import metadata

__all__: list[str] = []

connection = context.config.attributes["connection"]
if not isinstance(connection, Connection):
    raise TypeError("migrations run inside a store that opens, on its connection")
# Schema changes are part of the transaction (also in SQLite), so a step is made whole or not at all.
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
