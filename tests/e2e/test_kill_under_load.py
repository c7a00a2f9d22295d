"""pgjit is killed while agents write: every execution that the server saw has its record, and the journal goes on."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import psycopg
import pytest

from pgjit.audit.segments import lines_of, list_segments
from pgjit.demo.database import DemoDatabase
from tests.e2e.pgjit_elsewhere import PgjitElsewhere
from tests.e2e.worlds import add_writer, ask, open_world
from tests.run.journal_text import journal_records

pytestmark = pytest.mark.timeout(1800)
_AGENTS = 3
Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def _write(connection: psycopg.AsyncConnection, table: str, tag: str, done: asyncio.Semaphore) -> None:
    """Until pgjit is killed."""
    try:
        for number in range(100_000):
            await connection.execute(f"INSERT INTO {table} (note) VALUES ('{tag}-{number}')".encode())
            done.release()
    except psycopg.Error:
        return


@pytest.mark.parametrize("kills", [1, pytest.param(50, marks=pytest.mark.slow)])
async def test_every_execution_that_the_server_saw_has_its_record(
    database: DemoDatabase, tmp_path: Path, kills: int
) -> None:
    config = {"journal": {"folder": "journal", "segment_bytes": 65_536}}
    await ask(database, "ALTER SYSTEM SET log_statement = 'all'")
    await ask(database, "SELECT pg_reload_conf()")
    try:
        async with open_world(database, tmp_path, config=config) as world:
            agent = add_writer(world)
            elsewhere = PgjitElsewhere(world, "loaded")
            for kill in range(kills):
                token = await world.token(agent)
                async with elsewhere.served() as process:
                    connections = [
                        await elsewhere.connect(world, token, "writer", "write-target") for _ in range(_AGENTS)
                    ]
                    done = asyncio.Semaphore(0)
                    work = [
                        asyncio.create_task(_write(each, database.writable, f"kill{kill}-{number}", done))
                        for number, each in enumerate(connections)
                    ]
                    for _ in range(10 + kill * 7 % 90):
                        await done.acquire()
                    process.send_signal(signal.SIGKILL)
                    async with asyncio.timeout(60):
                        await asyncio.gather(*work)
                    for each in connections:
                        await each.close()
            async with elsewhere.served():
                records = journal_records(elsewhere.journal)
    finally:
        await ask(database, "ALTER SYSTEM RESET log_statement")
        await ask(database, "SELECT pg_reload_conf()")
    recorded = {match for record in records for match in _tags(str(record.get("statement", "")))}
    seen = set(_tags(database.log.read_text()))
    assert len(seen) >= 10 * kills
    assert seen <= recorded
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    segments = list_segments(elsewhere.journal)
    assert sum(len(block) for _, block in lines_of(segments)) == len(records)


def _tags(text: str) -> list[str]:
    return re.findall(r"kill[0-9]+-[0-9]+-[0-9]+", text)
