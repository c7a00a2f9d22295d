"""The PostgreSQL server of a test worker, with the demo's shop and with a window store. Started when first needed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pgjit.demo.database import DemoDatabase

if TYPE_CHECKING:
    from tests.fakes.store_server import StoreServer

__all__ = ["database", "store_server"]


@pytest.fixture(scope="session")
def _shop_server() -> Iterator[DemoDatabase]:
    # A short path of our own: a Unix socket's path has a limit, and the server's account must get there.
    folder = Path(tempfile.mkdtemp(prefix="pgjit-e2e-"))
    served = DemoDatabase()
    served.start(folder)
    yield served
    served.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def database(_shop_server: DemoDatabase) -> DemoDatabase:
    """Folders and files may have another one of this name."""
    return _shop_server


@pytest.fixture(scope="session")
def _made_store(_shop_server: DemoDatabase) -> StoreServer:
    from tests.fakes.store_server import StoreServer  # only where a test stores something on a server

    made = StoreServer(_shop_server)
    asyncio.run(made.make())
    return made


@pytest.fixture
def store_server(_made_store: StoreServer) -> StoreServer:
    """A PostgreSQL window store with the current schema, and nothing in it."""
    _made_store.empty()
    return _made_store
