"""A worker is killed under load, then the supervisor: what is promised for one process holds for each of several."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import psycopg
import pytest

from pgjit.cli.run import run
from pgjit.demo.database import DemoDatabase
from tests.e2e.same_executions import different_executions, sessions
from tests.e2e.served_workers import Connection, WorkersWorld, open_workers
from tests.e2e.server_log import logging_all
from tests.e2e.worlds import add_breaker, add_writer, ask
from tests.fakes.store_server import StoreServer
from tests.run.journal_text import journal_records
from tests.run.waiting import until, until_it_holds

pytestmark = pytest.mark.timeout(900)
ALIVE = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"
CLIENTS = 3


class Load:
    """Clients that connect and insert, again and again. A killed worker takes its own connections with it."""

    def __init__(self, world: WorkersWorld, token: str) -> None:
        self.done: Counter[str] = Counter()
        self._over = asyncio.Event()
        self._clients = [asyncio.create_task(self._run(world, token, n)) for n in range(CLIENTS)]

    async def _run(self, world: WorkersWorld, token: str, client: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            try:
                connection = await world.connect(token, "writer", "write-target")
            except psycopg.OperationalError as error:
                if "refused" in str(error).lower():
                    raise AssertionError("nobody listens") from error
                self.done["cut off while connecting"] += 1
                continue
            try:
                await connection.execute(f"INSERT INTO notes (note) VALUES ('l{client}x{number}x')".encode())
                self.done["executed"] += 1
            except psycopg.OperationalError:
                self.done["cut off"] += 1
            await connection.close()

    async def some(self) -> None:
        """Return after some more executions."""
        then = self.done["executed"]
        async with asyncio.timeout(120):
            await until(lambda: self.done["executed"] > then + 10, 120)

    async def stop(self) -> None:
        self._over.set()
        await asyncio.gather(*self._clients)


async def _on_each_worker(world: WorkersWorld, token: str) -> dict[str, Connection]:
    """A session of each worker whose backend would not notice that its client is gone."""
    found: dict[str, Connection] = {}

    async def one_more() -> bool:
        connection = await world.connect(token, "full", "write-target")
        pid = connection.info.backend_pid
        opened = world.records("session.opened")
        [worker] = [name for name, records in opened.items() if any(each["backend_pid"] == pid for each in records)]
        if worker in found:
            await connection.close()
        else:
            await connection.execute("SET client_connection_check_interval = 0")
            found[worker] = connection
        return len(found) == 2

    await until_it_holds(one_more)
    return found


async def test_a_worker_and_then_the_supervisor_are_killed_under_load(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    async with logging_all(database) as log, open_workers(database, tmp_path, store_server) as world:
        async with world.served():
            token, breaker = await world.token(add_writer(world)), await world.token(add_breaker(world))
            await (await world.connected(token, "writer", "write-target")).close()
            load = Load(world, token)
            await load.some()
            before = await world.workers()
            held = await _on_each_worker(world, breaker)
            sleeping = {
                name: asyncio.create_task(each.execute("SELECT pg_sleep(600)")) for name, each in held.items()
            }
            for each in held.values():
                await until_it_holds(functools.partial(_runs, database, each.info.backend_pid))
            await until_it_holds(functools.partial(_kept, store_server))
            killed, other = "a.1", "a.2"
            os.kill(before[killed], signal.SIGKILL)
            gone_pid = held[killed].info.backend_pid
            await until_it_holds(functools.partial(_gone, database, gone_pid))
            with pytest.raises(psycopg.OperationalError):
                await sleeping[killed]
            assert await ask(database, ALIVE, held[other].info.backend_pid) == 1, "the other worker's goes on"
            assert not sleeping[other].done()
            await until_it_holds(world.ready)
            await load.some()
            after = await world.workers()
            assert after[other] == before[other]
            assert set(after) == set(before), "the next process has the name of the dead one"
            assert after[killed] != before[killed]
            took = _moment(world, f"backend {gone_pid} of an earlier run is gone") - _moment(world, "ended: signal 9")
            print(f"the backend of a killed worker was gone after {took}; load: {dict(load.done)}")
            await held[other].cancel_safe(timeout=60)
            with pytest.raises(psycopg.errors.QueryCanceled):
                await sleeping[other]
            await load.stop()
            await _kill_the_supervisor(world, held[other], after)
            for each in held.values():
                await each.close()
        async with world.served():  # at once: the port and names are free, or others are taken
            again = await world.connected(token, "writer", "write-target")
            await again.execute("INSERT INTO notes (note) VALUES ('again')")
            await again.close()
            assert await world.stop() == 0
        assert run(["audit", "verify", "--config", str(world.config_file)]) == 0
        gone = [each["backend"]["pid"] for each in world.records_of_all("backend.gone")]
        assert gone.count(gone_pid) == 1, "one worker has ended it"
    records = [each for folder in sorted(world.journal.glob("*/origin")) for each in journal_records(folder.parent)]
    assert different_executions(sessions(records), log.backends()) == []


def _moment(world: WorkersWorld, event: str) -> timedelta:
    """When a line of the log was written, by the clock of its writer."""
    [line] = [line for line in world.log.splitlines() if event in line]
    return datetime.fromisoformat(line.split()[0]) - datetime.fromisoformat("1970-01-01T00:00:00Z")


async def _kept(store: StoreServer) -> bool:
    """Whether the store has the backend of each worker."""
    rows = await asyncio.to_thread(store.execute, "SELECT DISTINCT node FROM backends")
    return len(rows) == 2


async def _runs(database: DemoDatabase, pid: int) -> bool:
    return await ask(database, f"{ALIVE} AND state = 'active'", pid) == 1


async def _gone(database: DemoDatabase, pid: int) -> bool:
    return await ask(database, ALIVE, pid) == 0


async def _kill_the_supervisor(world: WorkersWorld, connection: Connection, workers: dict[str, int]) -> None:
    """Its workers let the running statement complete, and end in order."""
    running = asyncio.create_task(connection.execute("SELECT pg_sleep(3)::text, 42"))
    await until_it_holds(functools.partial(_runs, world.database, connection.info.backend_pid))
    world.process.send_signal(signal.SIGKILL)
    cursor = await running
    assert await cursor.fetchall() == [("", 42)]
    async with asyncio.timeout(120):
        await until(lambda: not any(map(psutil.pid_exists, workers.values())), 120)
    assert "the supervisor is gone" in world.log
    assert [len(each) for each in world.records("service.stopped").values()] == [1, 1]
