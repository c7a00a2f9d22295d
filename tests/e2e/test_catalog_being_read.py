"""A catalog that takes long to read: logins wait for it with a clear error, and spend no window."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, open_world, records


async def test_no_window_is_opened_while_the_catalog_is_being_read(database: DemoDatabase, tmp_path: Path) -> None:
    async with open_world(database, tmp_path, config={"limits": {"catalog_seconds": 0.2}}) as world:
        token = await world.token(add_reader(world))
        holder = await asyncpg.connect(
            host=str(database.socket_dir), port=database.port, user="postgres", database=database.database
        )
        holding = holder.transaction()
        await holding.start()
        await holder.execute("LOCK TABLE pg_catalog.pg_inherits IN ACCESS EXCLUSIVE MODE")
        try:
            for _ in range(2):
                with pytest.raises(psycopg.OperationalError, match="is still being read") as refused:
                    await connect_psycopg(world, token, "reader")
                assert "no window was opened" in str(refused.value)
        finally:
            await holding.rollback()
            await holder.close()
        assert not records(world, "window.opened")
        connection = await _connect_when_it_was_read(world, token)
        await connection.close()
        assert len(records(world, "window.opened")) == 1


async def _connect_when_it_was_read(world: World, token: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
    async with asyncio.timeout(60):
        while True:
            try:
                return await connect_psycopg(world, token, "reader")
            except psycopg.OperationalError as fault:
                if "is still being read" not in str(fault):
                    raise
