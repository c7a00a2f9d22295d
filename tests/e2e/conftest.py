"""What an end-to-end test stands on: one database for all of them, and a world of its own for each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.worlds import open_world


@pytest.fixture(scope="session")
def database() -> Iterator[DemoDatabase]:
    # A short path of our own: a Unix socket's path has a limit, and the server's account must get there.
    folder = Path(tempfile.mkdtemp(prefix="pgjit-e2e-"))
    served = DemoDatabase()
    served.start(folder)
    yield served
    served.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def world(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database, tmp_path) as served:
        yield served
