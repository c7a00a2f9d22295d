"""The admin port while pgjit stops: alive and not ready, until the last session is gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import httpx
import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, ask, open_world
from tests.fakes.local_http import local_http
from tests.run.waiting import until_it_holds


async def run_to_the_end(connection: psycopg.AsyncConnection) -> None:
    """Statement after statement: the session ends between two of them."""
    while True:
        await connection.execute("SELECT 1")


async def test_the_admin_port_answers_not_ready_until_the_drain_is_over(
    database: DemoDatabase, tmp_path: Path
) -> None:
    world = open_world(database, tmp_path, config={"limits": {"drain_seconds": 3600}})
    await world.__aenter__()
    token = await world.token(add_reader(world))
    connection, open_work, idle = [await connect_psycopg(world, token, "reader") for _ in range(3)]
    notices: list[str | None] = []
    for each in (connection, open_work, idle):
        each.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    await open_work.execute("BEGIN")
    notices.clear()
    holder = await asyncpg.connect(
        host=str(database.socket_dir), port=database.port, user="postgres", database=database.database
    )
    async with (
        asyncio.timeout(60),
        local_http(base_url=f"http://127.0.0.1:{world.app.admin_port}") as client,
    ):
        holding = holder.transaction()
        await holding.start()
        await holder.execute(f"LOCK TABLE {database.writable} IN ACCESS EXCLUSIVE MODE")
        running = asyncio.create_task(connection.execute(f"SELECT count(*) FROM {database.writable}".encode()))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'"
        await until_it_holds(lambda: ask(database, waiting, connection.info.backend_pid))
        closing = asyncio.create_task(world.__aexit__())
        while (await client.get("/readyz")).status_code == 200:
            await asyncio.sleep(0.02)
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["listener"] is False
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
        assert not closing.done()
        with pytest.raises(psycopg.errors.AdminShutdown, match="pgjit is shutting down"):
            await run_to_the_end(idle)
        for statement in ("SELECT 1", "COMMIT"):
            assert await open_work.execute(statement), "a transaction has its time"
        with pytest.raises(psycopg.errors.AdminShutdown):
            await run_to_the_end(open_work)
        await holding.rollback()
        assert await (await running).fetchone() is not None
        await closing
        assert notices == ["pgjit is shutting down"] * 3
        try:
            await client.get("/healthz")
        except httpx.TransportError:
            pass
        else:
            raise AssertionError("the admin port still answers")
    for each in (connection, open_work, idle):
        await each.close()
    await holder.close()
