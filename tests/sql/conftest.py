"""What the tests of names stand on: a server with `schema.sql` in it, and its catalog."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.sql.catalog import Catalog
from tests.sql.snapshots import create_names, read_snapshot, stored_catalog


@pytest.fixture(scope="session")
def names_dsn() -> Iterator[str]:
    """A database with nothing but `schema.sql` in it."""
    folder = Path(tempfile.mkdtemp(prefix="pgjit-sql-"))
    served = DemoDatabase()
    served.start(folder)
    yield create_names(served)
    served.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def live_catalog(names_dsn: str) -> Catalog:
    """Read from the server."""
    return asyncio.run(read_snapshot(names_dsn))


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """As stored: no server is needed."""
    return stored_catalog()
