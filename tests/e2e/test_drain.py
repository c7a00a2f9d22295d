"""The admin port while pgjit stops: alive and not ready, until the last session is gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import httpx

from pgjit.demo.database import DemoDatabase
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, ask, open_world
from tests.fakes.local_http import local_http
from tests.run.waiting import until_it_holds


async def test_the_admin_port_answers_not_ready_until_the_drain_is_over(
    database: DemoDatabase, tmp_path: Path
) -> None:
    world = open_world(database, tmp_path, config={"limits": {"drain_seconds": 3600}})
    await world.__aenter__()
    connection = await connect_psycopg(world, await world.token(add_reader(world)), "reader")
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
        await holding.rollback()
        assert await (await running).fetchone() is not None
        await closing
        try:
            await client.get("/healthz")
        except httpx.TransportError:
            pass
        else:
            raise AssertionError("the admin port still answers")
    await connection.close()
    await holder.close()
