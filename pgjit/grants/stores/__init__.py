"""The window stores: windows, and what belongs to them, in a database.

This room decides transactions, durability and the schema. `DATABASES` lists the databases by the `kind` that the
configuration gives; a new one takes a row there, and `tests/contracts/store.py` checks the store on it.

- **store**: the implementation of `Store` in `grants/store.py` (`sql.py`, `reviewed_sql.py`), for every database.
- **database**: it runs work in transactions (`database.py`). SQLite is a file that one process holds
  (`sqlite_database.py`, `store_file.py`). PostgreSQL serves several nodes (`postgres_database.py`).
- **schema**: the tables (`schema.py`, `review_schema.py`, `notification_schema.py`, `fleet_schema.py`), in whole
  microseconds of UTC. `migrations/` creates them and brings them up to date (`schema_versions.py`): a file when it is
  opened, PostgreSQL by `pgjit store upgrade`.
- **floor of the clock**: the latest moment in the store. A process with an earlier clock knows that it was set back.
- **work function**: it takes a connection inside a transaction. Each noun has a file of them: `window_rows.py`,
  `request_rows.py`, `lock_rows.py`, `journal_entries.py`, `notification_rows.py`, `backends.py`,
  `denied_principals.py`, `node_rows.py`, `window_nodes.py`, `lease_rows.py`. `admission.py` is
  the transaction of a login.
- **change**: what other nodes have to act on; the transaction announces it, and `Store.changes` returns.

Start with `database.py`, then `sql.py`.

The room does not know when a window opens or ends: `grants/lifecycle.py` decides that inside the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["DATABASES"]

DATABASES: Final[Mapping[str, str]] = {
    "sqlite": "sqlite_database",
    "postgres": "postgres_database",
}
"""Kind to module. A driver is imported only if the configuration names its database."""
