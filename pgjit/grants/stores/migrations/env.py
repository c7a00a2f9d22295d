"""Alembic's entry point: runs the revisions on the store's connection, inside its transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from pgjit.grants.stores.schema import metadata

__all__: list[str] = []

connection = context.config.attributes["connection"]
if not isinstance(connection, Connection):
    raise TypeError("migrations run when a store is opened, on its connection")
# Schema changes are part of the transaction, in SQLite too: a revision is applied whole or not at all.
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
