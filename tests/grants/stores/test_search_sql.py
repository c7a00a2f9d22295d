from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgjit.grants.store import Store
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from tests.contracts.search_store import SearchStoreContract
from tests.fakes.store_server import StoreServer


class TestSearchesSqlite(SearchStoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3", shared=True))


class TestSearchesPostgres(SearchStoreContract):
    @pytest.fixture
    def make(self, store_server: StoreServer) -> Callable[[], Store]:
        return store_server.store
