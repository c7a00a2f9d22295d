"""What an end-to-end test stands on: one database for all of them, and a world of its own for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.server.catalog_cache import CatalogCache
from tests.e2e.battery import prepare_battery
from tests.e2e.contrib import CONTRIB, serve_contrib
from tests.e2e.everyday import serve_everyday
from tests.e2e.kept_catalogs import READ_ANEW, reading_once
from tests.e2e.loose import serve_loose
from tests.e2e.worlds import open_world
from tests.run.loops import new_uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that `pgjit serve` runs on: its TLS is not asyncio's."""
    return {"uvloop": new_uvloop}


_read = CatalogCache._read_if_changed
_read_once = reading_once(_read)


@pytest.fixture(autouse=True)
def _catalogs_kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.name not in READ_ANEW:
        monkeypatch.setattr(CatalogCache, "_read_if_changed", _read_once)


@pytest.fixture(scope="session")
def loose_database() -> Iterator[DemoDatabase]:
    """One whose login role may do anything."""
    with serve_loose() as served:
        yield served


@pytest.fixture(scope="session")
def everyday_database() -> Iterator[DemoDatabase]:
    """One with a schema as people build them, and a login role that may read it."""
    with serve_everyday() as served:
        yield served


@pytest.fixture(scope="session", params=CONTRIB)
def contrib_database(request: pytest.FixtureRequest) -> Iterator[DemoDatabase]:
    """One of PostgreSQL 15 or so and one of 18, with the extensions that come with it, and what analysts look at."""
    with serve_contrib(request.param, "pgjit-ct-", prepare_battery) as served:
        yield served


@pytest.fixture
async def world(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database, tmp_path) as served:
        yield served


@pytest.fixture
def answered_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the answer to a cancel may come late: pgjit would terminate, and prove no cancel."""
    monkeypatch.setattr("pgjit.proxy.window.backend_stop.CANCEL_SECONDS", 60)
