"""The catalog cache: read once, read again after a change, and an error if the catalog cannot be read."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.demo.certificates import make_certificates
from pgjit.errors import CatalogBeingRead, ServerUnavailable
from pgjit.server import catalog_cache as module
from pgjit.server.catalog_cache import CatalogCache
from pgjit.server.servers import Servers
from pgjit.server.target import Host
from pgjit.sql.catalog import Catalog
from tests.run.waiting import until
from tests.sql.snapshots import target_of

LIMIT = 10.0


@pytest.fixture
def admin(names_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(names_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def catalogs(names_dsn: str) -> AsyncIterator[CatalogCache]:
    target = target_of(names_dsn)
    servers = Servers(target)
    opened = CatalogCache(target, servers, every=0.01)
    yield opened
    await opened.close()
    await servers.close()


async def _until_it_has(catalogs: CatalogCache, table: str) -> Catalog:
    async with asyncio.timeout(LIMIT):
        await until(lambda: catalogs.latest is not None and table in catalogs.latest.relations["public"])
    assert catalogs.latest is not None
    return catalogs.latest


async def test_concurrent_callers_share_one_reading(catalogs: CatalogCache) -> None:
    first, second = await asyncio.gather(catalogs.get(), catalogs.get())

    assert first is second
    assert await catalogs.get() is first
    assert first.search_path == ("public", "sales")
    assert first.database == "names"


async def test_a_change_is_seen_while_it_is_watched(catalogs: CatalogCache, admin: psycopg.Connection) -> None:
    before = await catalogs.get()
    watching = asyncio.create_task(catalogs.watch())
    try:
        admin.execute("CREATE TABLE later (id text)")
        after = await _until_it_has(catalogs, "later")
        assert after.version != before.version
    finally:
        admin.execute("DROP TABLE later")
        watching.cancel()
        await asyncio.wait([watching])


async def test_nothing_is_read_anew_while_nothing_changes(catalogs: CatalogCache) -> None:
    first = await catalogs.get()

    assert await catalogs.refresh() is first


async def test_a_refresh_sees_changes_from_before_the_call(catalogs: CatalogCache, admin: psycopg.Connection) -> None:
    await catalogs.get()
    reading = asyncio.create_task(catalogs.refresh())
    await asyncio.sleep(0)  # one that has begun before
    admin.execute("CREATE TABLE just_made (id text)")
    try:
        await catalogs.refresh_after_now()
        assert catalogs.latest is not None
        assert "just_made" in catalogs.latest.relations["public"]
    finally:
        await reading
        admin.execute("DROP TABLE just_made")


async def test_looks_keep_a_pause_between_them_and_are_shared(names_dsn: str) -> None:
    target = target_of(names_dsn)
    servers = Servers(target)
    catalogs = CatalogCache(target, servers, pause=0.3)
    loop = asyncio.get_running_loop()
    try:
        first = await catalogs.get()
        began = loop.time()
        await asyncio.gather(*(catalogs.refresh_after_now() for _ in range(20)))
        await catalogs.refresh_after_now()
        assert 0.3 < loop.time() - began < 3  # twenty by themselves would take six seconds
        assert catalogs.latest is first
    finally:
        await catalogs.close()
        await servers.close()


async def test_a_refresh_that_fails_raises_and_the_next_one_keeps_the_interval(names_dsn: str) -> None:
    target = replace(target_of(names_dsn), hosts=(Host("/nowhere"),))
    servers = Servers(target)
    away = CatalogCache(target, servers, pause=0.2)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(2):
        with pytest.raises(ServerUnavailable):
            await away.refresh_after_now()
    assert loop.time() - began >= 0.2
    assert away.latest is None
    await away.close()
    await servers.close()


async def test_a_connection_that_died_is_opened_anew(catalogs: CatalogCache, admin: psycopg.Connection) -> None:
    await catalogs.get()
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'pgjit catalog'"
    )
    admin.execute("CREATE TABLE after_that (id text)")
    try:
        assert "after_that" in (await catalogs.refresh()).relations["public"]
    finally:
        admin.execute("DROP TABLE after_that")


async def test_a_catalog_with_too_many_rows_is_not_read(
    catalogs: CatalogCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 10)

    with pytest.raises(ServerUnavailable, match="catalog of connection `names` cannot be read") as refused:
        await catalogs.get()
    assert refused.value.detail == "it has more than 10 relations"
    assert catalogs.latest is None


async def test_schemas_that_do_not_exist_are_not_searched(names_dsn: str) -> None:
    target = target_of(names_dsn, search_path='nowhere, "it\'s", hr')
    servers = Servers(target)
    opened = CatalogCache(target, servers)
    try:
        assert (await opened.get()).search_path == ("hr",)
    finally:
        await opened.close()
        await servers.close()


@pytest.fixture
def config(tmp_path: Path, names_dsn: str) -> Path:
    make_certificates(tmp_path)
    host = target_of(names_dsn).hosts[0]
    path = tmp_path / "pgjit.yaml"
    (tmp_path / "policies").mkdir()
    shutil.copy(Path(__file__).parents[2] / "policies" / "jit-schema-checks.yaml", tmp_path / "policies")
    path.write_text(
        "tls: {certificate: server.crt, key: server.key}\n"
        "identity: {tenant: 7c9e6679-7425-40de-944b-e07fc1f90ae7, audience: 3f2504e0-4f89-41d3-9a0c-0305e82c3301}\n"
        f"connections: {{prod-replica: {{host: {host.name}, port: {host.port}, database: names, user: postgres}}}}\n"
        "policies: policies\n"
    )
    return path


def test_the_command_prints_a_catalog_that_can_be_read_back(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "--connection", "prod-replica", "--config", str(config)]) == Status.OK

    printed = Catalog.from_json(capsys.readouterr().out.encode())
    assert "customers" in printed.relations["public"]
    assert json.loads(printed.to_json())["role"] == "postgres"


def test_the_command_knows_the_connections(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "--connection", "other", "--config", str(config)]) == Status.USAGE
    assert "there is no connection `other`; known: prod-replica" in " ".join(capsys.readouterr().err.split())


async def test_a_caller_that_times_out_gets_an_error_and_the_reading_goes_on(
    catalogs: CatalogCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()
    readings = 0
    look_twice = catalogs._read_with_retry

    async def slowly() -> Catalog:
        nonlocal readings
        readings += 1
        await go_on.wait()
        return await look_twice()

    monkeypatch.setattr(catalogs, "_read_with_retry", slowly)
    for _ in range(3):
        with pytest.raises(CatalogBeingRead) as refused:
            await catalogs.get(0.01)
        assert refused.value.for_client() is refused.value
        assert refused.value.fields()["C"] == "57P03"
        assert "Connect again in a few seconds" in str(refused.value.hint)
    waiting = asyncio.create_task(catalogs.get(LIMIT))
    await asyncio.sleep(0)
    go_on.set()
    assert (await waiting).database == "names"
    assert readings == 1
