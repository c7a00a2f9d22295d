"""The store on each of its databases: one contract for all of them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pgjit.grants.store import Store
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from tests.contracts.fleet import FleetContract
from tests.contracts.kept_state import KeptStateContract
from tests.contracts.store import ALICE, NOW, POLICY, StoreContract
from tests.fakes.store_server import StoreServer


class TestSqlStoreOnSqlite(StoreContract, KeptStateContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3", shared=True))


class TestSqlStoreOnPostgres(StoreContract, KeptStateContract):
    @pytest.fixture
    def make(self, store_server: StoreServer) -> Callable[[], Store]:
        return store_server.store


class TestNodesOnSqlite(FleetContract):
    @pytest.fixture
    def make_node(self, tmp_path: Path) -> Callable[[str], Store]:
        return lambda name: SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3", shared=True), node=name)


class TestNodesOnPostgres(FleetContract):
    @pytest.fixture
    def make_node(self, store_server: StoreServer) -> Callable[[str], Store]:
        return store_server.store


async def test_a_login_that_joins_a_window_writes_nothing(tmp_path: Path) -> None:
    """A commit waits for the disk, and the logins behind it wait as well. The moment is noted once a second."""
    path = tmp_path / "windows.sqlite3"
    store = SqlStore(SqliteDatabase(path))
    await store.open()
    try:
        opened, _ = await store.admit(ALICE, POLICY, NOW)
        with contextlib.closing(sqlite3.connect(path)) as other:

            def version() -> int:
                [(number,)] = other.execute("PRAGMA data_version")
                return int(number)

            before = version()
            for milliseconds in (1, 500, 999):
                joined = await store.admit(ALICE, POLICY, NOW + timedelta(milliseconds=milliseconds))
                assert joined == (opened, False)
            assert version() == before
            assert await store.admit(ALICE, POLICY, NOW + timedelta(seconds=1)) == (opened, False)
            assert version() != before
    finally:
        await store.close()
