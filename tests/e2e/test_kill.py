"""pgjit itself dies: the server-side belts stop the backend, and the used window is remembered."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import cast

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.worlds import add_reader, add_writer, ask, open_world, records


class _Elsewhere:
    """The world's configuration served by a process of its own, on another port and other files."""

    def __init__(self, world: World, name: str) -> None:
        text = world.config_file.read_text()
        for file in ("pgjit.sqlite3", "journal.jsonl"):
            text = text.replace(file, f"{name}-{file}")
        self.config = world.folder / f"{name}.yaml"
        self.config.write_text(text)
        self.journal = world.folder / f"{name}-journal.jsonl"
        self.port = 0

    async def start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pgjit",
            "serve",
            "--config",
            str(self.config),
            "--json",
            stdout=PIPE,
            stderr=PIPE,
        )
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            assert process.stderr is not None
            raise AssertionError((await process.stderr.read()).decode())
        self.port = int(json.loads(line)["listen"].rsplit(":", 1)[1])
        return process

    async def connect(
        self, world: World, token: str, policy: str, connection: str
    ) -> psycopg.AsyncConnection[tuple[object, ...]]:
        conninfo = world.conninfo(policy, connection).replace(f"port={world.app.port}", f"port={self.port}")
        while True:  # ready once the key set was fetched
            try:
                return await psycopg.AsyncConnection.connect(conninfo, password=token, autocommit=True)
            except psycopg.OperationalError as refused:
                if "keys" not in str(refused):
                    raise
                await asyncio.sleep(0.1)


async def test_kill_9_during_a_statement_leaves_no_backend_and_no_second_window(
    database: DemoDatabase, tmp_path: Path
) -> None:
    ttl = {"writer": timedelta(seconds=4)}
    async with open_world(database, tmp_path, ttl=ttl) as world:
        token = await world.token(add_writer(world))
        elsewhere = _Elsewhere(world, "killed")
        process = await elsewhere.start()
        connection = await elsewhere.connect(world, token, "writer", "write-target")
        pid = connection.info.backend_pid
        shown = await (await connection.execute("SHOW pgjit.window")).fetchone()
        insert = f"INSERT INTO {database.writable} (note) VALUES ('killed')"
        running = asyncio.create_task(connection.execute(f"{insert}; SELECT pg_sleep(600); {insert}".encode()))
        active = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active'"
        while not await ask(database, active, pid):
            await asyncio.sleep(0.02)
        loop = asyncio.get_running_loop()
        process.send_signal(signal.SIGKILL)
        killed = loop.time()
        while await ask(database, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
            await asyncio.sleep(0.02)
            assert loop.time() - killed < 3
        await process.communicate()
        with pytest.raises(psycopg.OperationalError):
            await running
        await connection.close()
        assert await ask(database, f"SELECT count(*) FROM {database.writable} WHERE note = 'killed'") == 0

        # The record of the execution was in the journal before it ran: the kill did not take it.
        statements = _of_type(elsewhere.journal, "execution")
        assert any("pg_sleep" in str(record["statement"]) for record in statements)

        process = await elsewhere.start()
        again = await elsewhere.connect(world, token, "writer", "write-target")
        assert await (await again.execute("SHOW pgjit.window")).fetchone() == shown
        while not _of_type(elsewhere.journal, "window.ended"):
            await asyncio.sleep(0.05)
        await again.close()
        with pytest.raises(psycopg.OperationalError, match="new window may be requested"):
            await elsewhere.connect(world, token, "writer", "write-target")
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        assert process.returncode == 0


def _of_type(journal: Path, kind: str) -> list[dict[str, object]]:
    lines: Iterable[str] = journal.read_text().splitlines()
    return [record for line in lines if (record := cast("dict[str, object]", json.loads(line)))["type"] == kind]


async def test_sigterm_lets_a_running_statement_finish_and_ends_idle_sessions(
    database: DemoDatabase, tmp_path: Path
) -> None:
    async with open_world(database, tmp_path) as world:
        token = await world.token(add_reader(world))
        elsewhere = _Elsewhere(world, "drained")
        process = await elsewhere.start()
        idle = await elsewhere.connect(world, token, "reader", "prod-replica")
        busy = await elsewhere.connect(world, token, "reader", "prod-replica")
        running = asyncio.create_task(busy.execute("SELECT 'finished' FROM pg_sleep(1)"))
        active = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active'"
        while not await ask(database, active, busy.info.backend_pid):
            await asyncio.sleep(0.02)
        os.kill(process.pid, signal.SIGTERM)
        assert await (await running).fetchone() == ("finished",)
        await process.communicate()
        assert process.returncode == 0
        for connection in (idle, busy):
            with pytest.raises(psycopg.OperationalError, match="shutting down"):
                await connection.execute("SELECT 1")
            await connection.close()
        assert [record["reason"] for record in _of_type(elsewhere.journal, "session.ended")] == ["shutdown"] * 2
        assert _of_type(elsewhere.journal, "service.stopped")
        assert records(world, "execution") == []
