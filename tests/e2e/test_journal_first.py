"""Recorded before it runs: when the journal cannot take the record, nothing reaches the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from pgjit.app import from_config
from pgjit.audit.sinks import SegmentSink
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg, connect_psycopg
from tests.e2e.worlds import add_reader, add_writer, ask, open_world, records
from tests.run.waiting import until


class FullDisk(SegmentSink):
    """A journal on a disk that a test can fill up."""

    full = False
    refused = 0

    def append(self, lines: bytes) -> None:
        if FullDisk.full:
            FullDisk.refused += 1
            raise OSError(28, "No space left on device")
        super().append(lines)


@pytest.fixture
async def world(database: DemoDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(from_config, "SegmentSink", FullDisk)
    monkeypatch.setattr(FullDisk, "full", False)
    monkeypatch.setattr(FullDisk, "refused", 0)
    async with open_world(database, tmp_path) as served:
        yield served


@pytest.fixture
async def log_everything(database: DemoDatabase) -> AsyncIterator[Path]:
    """The server's own log, with each statement that it was sent."""
    await ask(database, "ALTER SYSTEM SET log_statement = 'all'")
    await ask(database, "SELECT pg_reload_conf()")
    yield database.log
    await ask(database, "ALTER SYSTEM RESET log_statement")
    await ask(database, "SELECT pg_reload_conf()")


async def test_nothing_reaches_the_server_when_the_journal_fails(world: World, log_everything: Path) -> None:
    insert = f"INSERT INTO {world.database.writable} (note) VALUES ('unrecorded-simple')"
    token = await world.token(add_writer(world))
    async with await connect_psycopg(world, token, "writer", "write-target") as connection:
        await connection.execute(f"INSERT INTO {world.database.writable} (note) VALUES ('recorded')".encode())
        FullDisk.full = True
        for parameters in (None, ("unrecorded-extended",)):
            statement = insert if parameters is None else f"INSERT INTO {world.database.writable} (note) VALUES (%s)"
            with pytest.raises(psycopg.errors.IoError, match="could not be recorded"):
                await connection.execute(statement.encode(), parameters)
        FullDisk.full = False
        assert await (await connection.execute("SELECT 'alive'")).fetchone() == ("alive",)
    log = log_everything.read_text()
    assert "'recorded'" in log
    assert "unrecorded" not in log
    count = f"SELECT count(*) FROM {world.database.writable} WHERE note LIKE 'unrecorded%'"
    assert await ask(world.database, count) == 0


async def test_a_batch_of_asyncpg_is_refused_whole(world: World) -> None:
    token = await world.token(add_writer(world))
    connection = await connect_asyncpg(world, token, "writer", "write-target")
    try:
        statement = await connection.prepare(f"INSERT INTO {world.database.writable} (note) VALUES ($1)")
        FullDisk.full = True
        with pytest.raises(Exception, match="could not be recorded"):
            await statement.executemany([("batch-1",), ("batch-2",)])
        FullDisk.full = False
        assert await connection.fetchval("SELECT 1") == 1
    finally:
        connection.terminate()
    count = f"SELECT count(*) FROM {world.database.writable} WHERE note LIKE 'batch%'"
    assert await ask(world.database, count) == 0


async def test_no_session_is_opened_that_cannot_be_recorded(world: World) -> None:
    token = await world.token(add_reader(world))
    FullDisk.full = True
    with pytest.raises(psycopg.OperationalError, match="could not be recorded"):
        await connect_psycopg(world, token, "reader")
    FullDisk.full = False
    async with await connect_psycopg(world, token, "reader") as connection:
        await connection.execute("SELECT 1")
    assert [r["type"] for r in records(world) if r["type"] in ("window.opened", "session.opened")] == [
        "window.opened", "session.opened",
    ]  # fmt: skip


async def test_an_outcome_that_could_not_be_written_is_written_later(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        running = connection.execute("SELECT 1 FROM pg_sleep(0.3)")
        import asyncio

        task = asyncio.create_task(running)
        await until(lambda: records(world, "execution"))
        FullDisk.full = True
        await task
        await until(lambda: FullDisk.refused)
        FullDisk.full = False
        await connection.execute("SELECT 2")
    await until(lambda: records(world, "session.ended"))
    executions = [r["execution"] for r in records(world, "execution")]
    assert [r["execution"] for r in records(world, "outcome")] == executions
