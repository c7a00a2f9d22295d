"""The schema's history, as Alembic reads it: one revision for each change.

This room decides how an older store becomes one of the current schema. It runs when a store is opened, in one
transaction: a store is upgraded whole or not at all.

- **revision**: one file in `versions/`, with the id that the store keeps in the table `alembic_version`.
- **head**: the latest revision. Its schema equals the metadata in `grants/stores/schema.py`; a test compares them.

Start with `env.py`, which Alembic runs, then `versions/v1_initial.py`. `grants/stores/sqlite_connection.py` calls
Alembic, and refuses a store whose revision is not in `versions/`.

The room does not know what the tables are for.
"""
