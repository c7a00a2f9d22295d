"""A node of a fleet is killed with a statement running: another node ends the backend and the window, once."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from pgjit.demo.database import DemoDatabase
from pgjit.grants.actor import Actor
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.identity.identity import IdentityKey
from tests.audit.schema_check import assert_valid
from tests.e2e.clients import psql
from tests.e2e.worlds import add_breaker, ask, open_world
from tests.fakes.store_server import StoreServer
from tests.run.journal_text import journal_records
from tests.run.processes import own_async
from tests.run.waiting import until, until_it_holds

ADMIN = Actor(key=IdentityKey("t", "o"), display="ann", via="api")
ALIVE = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"


@pytest.mark.timeout(300)
async def test_what_a_killed_node_had_is_ended_by_another_one(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    store = {"kind": "postgres", "url": store_server.url(), "stale_after": 5}
    async with open_world(database, tmp_path, config={"node": "two", "store": store}) as world:
        there = yaml.safe_load(world.config_file.read_text())
        there |= {"node": "one", "journal": {"folder": "one-journal"}}
        (tmp_path / "one.yaml").write_text(yaml.safe_dump(there))
        serve = (sys.executable, "-m", "pgjit", "serve", "--config", tmp_path / "one.yaml", "--json")
        agent = add_breaker(world)
        token = await world.token(agent)

        def records(kind: str) -> list[Any]:
            both = [each for folder in (tmp_path / "one-journal", world.journal) for each in journal_records(folder)]
            return [record for record in both if record["type"] == kind]

        async with own_async(*serve) as process:
            assert process.stdout is not None
            port = json.loads(await process.stdout.readline())["listen"].rsplit(":", 1)[1]
            place = world.conninfo("full", "write-target").replace(f"port={world.app.port}", f"port={port}")

            async def connected() -> psycopg.AsyncConnection | None:
                try:
                    return await psycopg.AsyncConnection.connect(place, password=token, autocommit=True)
                except psycopg.OperationalError:
                    return None  # its keys are not fetched yet

            connection = await until_it_holds(connected)
            assert connection is not None
            pid = connection.info.backend_pid
            # A backend that sleeps and does not look whether its client is there outlives the node.
            await connection.execute("SET client_connection_check_interval = 0")
            running = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
            await until_it_holds(lambda: ask(database, f"{ALIVE} AND state = 'active'", pid))
            await until_it_holds(lambda: ask_store(store_server))
            process.send_signal(signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            await running
        assert await ask(database, ALIVE, pid) == 1
        [opened] = records("window.opened")
        await world.app._revocations.revoke(Scope(ScopeKind.WINDOW, opened["window"]["id"]), "dead", ADMIN)
        async with asyncio.timeout(120):
            await until(lambda: records("window.ended"))
            # Its record is in the store first, and in the journal within two seconds: maybe after that of the end.
            await until(lambda: records("window.adopted"))
        assert await ask(database, ALIVE, pid) == 0
        [adopted], [ended] = records("window.adopted"), records("window.ended")
        assert (adopted["node"], adopted["window"]["id"]) == ("one", opened["window"]["id"])
        assert (ended["reason"], ended["window"]["id"]) == ("revoked", opened["window"]["id"])
        assert "was revoked" in (await psql(world, token, "full", "SELECT 1", connection="write-target")).err
        async with own_async(*serve) as process:  # it comes back, and has nothing to end or to record again
            assert process.stdout is not None
            assert await process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                await process.communicate()
        counts = [
            len(records(kind)) for kind in ("window.opened", "window.revoked", "window.adopted", "window.ended")
        ]
        assert counts == [1, 1, 1, 1]
        [gone] = records("backend.gone")
        assert gone["backend"]["pid"] == pid
        for folder in (tmp_path / "one-journal", world.journal):
            for record in journal_records(folder):
                assert_valid(record)


async def ask_store(store_server: StoreServer) -> bool:
    """Whether the store has the backend."""
    return bool(await asyncio.to_thread(store_server.execute, "SELECT 1 FROM backends"))
