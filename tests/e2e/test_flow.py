"""Large messages and slow readers: everything arrives whole, and nothing piles up inside the proxy."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import psutil
import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, ask, open_world, records
from tests.run.waiting import until, until_it_holds

MIB = 1024 * 1024
STALLED = 8


async def test_clients_that_stop_reading_a_gigabyte_cost_little_memory_each(world: World) -> None:
    token = await world.token(add_reader(world))
    connections = [await connect_psycopg(world, token, "reader") for _ in range(STALLED)]
    for connection in connections:
        await connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
    gc.collect()
    before = psutil.Process().memory_info().rss
    for connection in connections:
        connection.pgconn.send_query(b"SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")
        while connection.pgconn.flush():
            await asyncio.sleep(0)
    waiting = "wait_event = 'ClientWrite' AND query LIKE '%1000000)'"
    blocked = f"SELECT count(*) = {STALLED} FROM pg_stat_activity WHERE {waiting}"
    await until_it_holds(lambda: ask(world.database, blocked))
    gc.collect()
    grown = psutil.Process().memory_info().rss - before
    for connection in connections:
        await connection.close()
    assert grown < STALLED * 2 * MIB


async def test_a_row_of_64_mib_and_what_follows_it_arrive_whole(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        cursor = await connection.execute(f"SELECT repeat('x', {64 * MIB}) UNION ALL SELECT 'last'")
        first, last = await cursor.fetchall()
        assert (len(str(first[0])), last[0]) == (64 * MIB, "last")
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    assert int(str(records(world, "outcome")[0]["bytes"])) > 64 * MIB


async def test_a_statement_of_many_megabytes_runs_up_to_the_configured_cap(
    database: DemoDatabase, tmp_path: Path
) -> None:
    limits = {"limits": {"statement_bytes": 16 * MIB, "message_bytes": 20 * MIB}}
    async with open_world(database, tmp_path, config=limits) as world:
        token = await world.token(add_reader(world))
        async with await connect_psycopg(world, token, "reader") as connection:
            text = f"SELECT length('{'x' * (15 * MIB)}')"
            assert await (await connection.execute(text.encode())).fetchone() == (15 * MIB,)
            with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="too large"):
                await connection.execute(f"SELECT length('{'x' * (17 * MIB)}')".encode())
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
            with pytest.raises(psycopg.errors.ProgramLimitExceeded, match=r"limits\.message_bytes"):
                await connection.execute("SELECT length(%s)", ("x" * (21 * MIB),))
            assert await (await connection.execute("SELECT 2")).fetchone() == (2,)
    assert [r["ended"] for r in records(world, "outcome")][1] == "refused"


async def test_a_pipeline_that_writes_and_reads_much_at_once_does_not_lock_up(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection, asyncio.timeout(60):
        async with connection.pipeline():
            cursors = [
                await connection.execute("SELECT %s::text || repeat('y', 200000)", ("x" * 200_000,))
                for _ in range(100)
            ]
        for cursor in cursors:
            row = await cursor.fetchone()
            assert row is not None
            assert len(str(row[0])) == 400_000


async def test_the_servers_own_last_words_are_told_once(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        running = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
        active = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"
        await until_it_holds(lambda: ask(world.database, active))
        await ask(world.database, "SELECT pg_terminate_backend($1)", connection.info.backend_pid)
        with pytest.raises(psycopg.errors.AdminShutdown, match="due to administrator command"):
            await running
    ended = await until(lambda: records(world, "session.ended"))
    assert ended[0]["reason"] == "server"
    assert ended[0]["detail"] == "terminating connection due to administrator command"
    assert [(r["ended"], r["sqlstate"]) for r in records(world, "outcome")] == [("failed", "57P01")]
