"""Window stores on SQLite begin as a copy of one file of this process, which has the current schema.

To make the schema by Alembic takes five times as long as all the rest of opening a store, and most tests open one. A
file that several processes may open at once gets its schema in each test, as does one that is not empty.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

__all__: list[str] = []

_STORES = "pgjit.grants.stores.sqlite_database"


@pytest.fixture(scope="session", autouse=True)
def _copied_stores() -> None:
    if (module := sys.modules.get(_STORES)) is not None:  # no file of tests imports it later than it is collected
        vars(module)["_upgrade"] = _copying(vars(module)["_upgrade"])


def _copying(upgrade: Callable[[Path], list[str]]) -> Callable[[Path], list[str]]:
    @functools.cache
    def empty_store() -> tuple[bytes, list[str]]:
        with tempfile.TemporaryDirectory(prefix="pgjit-schema-") as folder:
            file = Path(folder, "store.sqlite3")
            made = upgrade(file)
            return file.read_bytes(), made

    def upgrade_copy(path: Path) -> list[str]:
        held = path.with_name(f"{path.name}.lock").exists()
        if not held or path.with_name(f"{path.name}-wal").exists() or path.stat().st_size:
            return upgrade(path)
        content, made = empty_store()
        path.write_bytes(content)
        return made + upgrade(path)

    return upgrade_copy
