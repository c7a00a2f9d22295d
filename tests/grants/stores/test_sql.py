"""The store on each of its databases: one contract for all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgjit.grants.store import Store
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from tests.contracts.fleet import FleetContract
from tests.contracts.kept_state import KeptStateContract
from tests.contracts.store import StoreContract
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
