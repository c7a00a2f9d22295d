"""Sign-ins in both databases, and a store of the version before, which had none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from pgjit.grants.store import Store
from pgjit.grants.stores import schema_versions
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from tests.contracts.sign_in_store import SignInStoreContract
from tests.contracts.store import ALICE, NOW, POLICY
from tests.fakes.store_server import StoreServer


class TestSignInsOnSqlite(SignInStoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3", shared=True))


class TestSignInsOnPostgres(SignInStoreContract):
    @pytest.fixture
    def make(self, store_server: StoreServer) -> Callable[[], Store]:
        return store_server.store


async def test_a_store_of_the_version_before_keeps_its_windows(tmp_path: Path) -> None:
    path = tmp_path / "windows.sqlite3"
    store = SqlStore(SqliteDatabase(path))
    await store.open()
    window, _ = await store.admit(ALICE, POLICY, NOW)
    await store.close()
    with sqlite3.connect(path) as direct:
        for later in ("sign_ins", "saved_searches"):
            direct.execute(f"DROP TABLE {later}")
        direct.execute("UPDATE alembic_version SET version_num = 'v1'")
    direct.close()
    again = SqlStore(SqliteDatabase(path))
    await again.open()
    assert await again.window(window.id) == window
    assert await again.sign_in("a") is None
    await again.close()
    assert schema_versions.VERSIONS[:2] == ("v1", "v2")
