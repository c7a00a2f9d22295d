"""The window stores: each keeps windows, and what belongs to them, in one kind of database.

This room decides transactions, durability and the schema. `STORES` lists the stores by the `kind` that the
configuration gives; a new one takes a row there, and `tests/contracts/store.py` checks it.

- **store**: an implementation of `Store` in `grants/store.py`. There is one: `SqlStore` in `sql.py`, on SQLite.
- **store file**: the SQLite file, locked by one process (`store_file.py`).
- **schema**: the tables (`schema.py`, `review_schema.py`), in whole microseconds of UTC. `migrations/` creates them
  and brings them up to date when the store opens (`sqlite_connection.py`).
- **floor of the clock**: the latest moment in the store. A process with an earlier clock knows that it was set back.
- **work function**: it takes a connection inside a transaction. Each noun has a file of them: `window_rows.py`,
  `request_rows.py`, `lock_rows.py`, `journal_entries.py`, `backends.py`, `denied_principals.py`. `admission.py` is
  the transaction of a login.

Start with `sql.py`: one transaction at a time, in one thread.

The room does not know when a window opens or ends: `grants/lifecycle.py` decides that inside the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pgjit.grants.store import Store
from pgjit.grants.stores.sql import SqlStore

__all__ = ["STORES"]

STORES: Mapping[str, Callable[[str], Store]] = {
    "sqlite": SqlStore,
}
