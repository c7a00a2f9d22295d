"""`durability: synced`: nothing reaches the server before its record is on the disk, and sessions share flushes."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from pgjit.audit.sinks import open_segment
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.errors import JournalUnavailable
from tests.e2e.clients import connect_asyncpg, connect_psycopg
from tests.e2e.server_log import logging_all
from tests.e2e.worlds import add_writer, open_world
from tests.run.journal_text import journal_text
from tests.run.waiting import until

_SESSIONS = 8


class SlowDisk:
    """In place of fdatasync: a flush waits while the gate is closed, and may fail."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.flushes = 0
        self.failure: OSError | None = None

    def __call__(self, descriptor: int) -> None:
        self.flushes += 1
        assert self.gate.wait(60)
        if self.failure is not None:
            raise self.failure
        os.fsync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    slow = SlowDisk()
    monkeypatch.setattr(open_segment, "_sync", slow)
    return slow


@asynccontextmanager
async def served(
    database: DemoDatabase, folder: Path, durability: str, sessions: int = 2
) -> AsyncIterator[tuple[World, list[psycopg.AsyncConnection[tuple[object, ...]]]]]:
    async with (
        open_world(database, folder, config={"journal": {"durability": durability}}) as world,
        AsyncExitStack() as stack,
    ):
        token = await world.token(add_writer(world))
        connections = [
            await stack.enter_async_context(await connect_psycopg(world, token, "writer", "write-target"))
            for _ in range(sessions)
        ]
        yield world, connections


def insert(note: str) -> bytes:
    return f"INSERT INTO notes (note) VALUES ('{note}')".encode()


async def test_a_statement_is_forwarded_when_its_record_is_on_the_disk(
    database: DemoDatabase, tmp_path: Path, disk: SlowDisk
) -> None:
    async with logging_all(database), served(database, tmp_path, "synced") as (world, (simple, extended)):
        batch = await connect_asyncpg(world, await world.token(add_writer(world)), "writer", "write-target")
        prepared = await batch.prepare("INSERT INTO notes (note) VALUES ($1)")
        disk.gate.clear()
        work = [
            asyncio.create_task(each)
            for each in (
                simple.execute(insert("sync-1")),
                extended.execute(b"INSERT INTO notes (note) VALUES (%s)", ("sync-2",)),
                prepared.executemany([("sync-3",), ("sync-4",)]),
            )
        ]
        written = ("sync-1", "sync-2", "sync-3", "sync-4")
        await until(lambda: all(map(journal_text(world.journal).__contains__, written)))
        log = database.log.read_text()
        assert not any(note in log for note in written)
        assert not any(task.done() for task in work)
        disk.gate.set()
        await asyncio.gather(*work)
        await batch.close()
    log = database.log.read_text()
    assert all(note in log for note in written)


async def test_without_it_a_statement_waits_for_no_disk(
    database: DemoDatabase, tmp_path: Path, disk: SlowDisk
) -> None:
    async with served(database, tmp_path, "written") as (_, (connection, _other)):
        disk.gate.clear()
        async with asyncio.timeout(60):
            await connection.execute(insert("unsynced"))
        disk.gate.set()


async def test_sessions_that_wait_share_a_flush(database: DemoDatabase, tmp_path: Path, disk: SlowDisk) -> None:
    async with served(database, tmp_path, "synced", _SESSIONS) as (world, connections):
        before = disk.flushes
        disk.gate.clear()
        first = asyncio.create_task(connections[0].execute(insert("shared-first")))
        await until(lambda: disk.flushes > before)
        rest = [asyncio.create_task(each.execute(insert(f"shared-{n}"))) for n, each in enumerate(connections)][1:]
        await until(lambda: journal_text(world.journal).count("('shared-") == _SESSIONS)
        disk.gate.set()
        await asyncio.gather(first, *rest)
        # The first one's, and one for all others; another may have been asked for between the two.
        assert disk.flushes - before < _SESSIONS / 2


async def test_after_a_flush_that_failed_nothing_runs_any_more(
    database: DemoDatabase, tmp_path: Path, disk: SlowDisk
) -> None:
    """Nobody knows which records are on the disk; a restart finds out."""
    async with logging_all(database):
        with pytest.raises(JournalUnavailable):  # noqa: PT012 - the stop raises it: the last records may be lost
            async with served(database, tmp_path, "synced") as (world, connections):
                disk.failure = OSError(5, "Input/output error")
                for connection in connections:
                    await refused(connection)
                disk.failure = None
                await refused(connections[0])
                with pytest.raises(psycopg.OperationalError, match="could not be recorded"):
                    await connect_psycopg(world, await world.token(add_writer(world)), "writer", "write-target")
    assert "lost-by-the-disk" not in database.log.read_text()


async def refused(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    with pytest.raises(psycopg.errors.IoError, match="could not be recorded"):
        await connection.execute(insert("lost-by-the-disk"))
