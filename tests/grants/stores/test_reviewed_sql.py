from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgjit.grants.store import Store
from pgjit.grants.stores.sql import SqlStore
from tests.contracts.reviewed_store import ReviewedStoreContract


class TestReviewedSqlite(ReviewedStoreContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: SqlStore(f"sqlite:///{tmp_path / 'windows.sqlite3'}", shared=True)
