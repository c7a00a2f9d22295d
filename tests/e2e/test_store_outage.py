"""A store on PostgreSQL that goes and comes back, under a proxy that runs."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, add_writer, open_world, records
from tests.fakes.local_http import local_http
from tests.fakes.store_server import StoreServer
from tests.run.waiting import until_it_holds


async def test_while_the_store_is_out_sessions_go_on_and_nothing_opens(
    database: DemoDatabase, store_server: StoreServer, tmp_path: Path
) -> None:
    config = {"store": {"kind": "postgres", "url": store_server.url()}, "node": "node-1"}
    async with open_world(database, tmp_path, config=config) as world:
        token = await world.token(add_reader(world))
        other = await world.token(add_writer(world))
        async with local_http(base_url=f"http://127.0.0.1:{world.app.admin_port}") as admin:

            async def is_usable(usable: bool) -> bool:
                ready = await admin.get("/readyz")
                assert ready.status_code == (200 if all(ready.json()["checks"].values()) else 503)
                return bool(ready.json()["checks"]["store"]) is usable

            async with await connect_psycopg(world, token, "reader") as session:
                assert await is_usable(True)
                store_server.refuse_connections()
                try:
                    await until_it_holds(lambda: is_usable(False))
                    for login in ((token, "reader"), (other, "writer", "write-target")):
                        with pytest.raises(psycopg.OperationalError, match="window store cannot be used"):
                            await connect_psycopg(world, *login)
                    assert (await (await session.execute("SELECT 1")).fetchone()) == (1,)
                finally:
                    store_server.accept_connections()
                await until_it_holds(lambda: is_usable(True))
                async with await connect_psycopg(world, token, "reader") as joined:
                    assert (await (await joined.execute("SELECT 2")).fetchone()) == (2,)
    assert len(records(world, "window.opened")) == 1
    assert store_server.execute("SELECT count(*) FROM windows") == [(1,)]
