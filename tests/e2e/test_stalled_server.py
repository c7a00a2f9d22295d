"""A server that stalls: its connection, the control connections, or the backend itself pass nothing any more.

The client's session ends in time in each case. The backend's end has its proof, or it is recorded that there is none
yet, and pgjit tries on.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.attacked import Ahead, guarded
from tests.e2e.clients import connect_psycopg
from tests.e2e.moving_address import MovingAddress
from tests.e2e.test_ways_of_ending import WAYS
from tests.e2e.worlds import add_writer, ask, open_world, records
from tests.run.waiting import until, until_it_holds

SESSIONS, CONTROLS = b"pgjit.identity", b"pgjit control"
Connection = psycopg.AsyncConnection[tuple[object, ...]]


@pytest.fixture
async def stalled(
    database: DemoDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[World, MovingAddress, Ahead]]:
    clock = Ahead()
    monkeypatch.setattr("pgjit.app.application.Clock", lambda: clock)
    monkeypatch.setattr("pgjit.proxy.window.backend_stop.ALERT_AFTER", 0.2)
    monkeypatch.setattr("pgjit.proxy.window.windows._END_SECONDS", 0.2)
    async with MovingAddress(database.socket_dir) as address:
        place = {"host": "127.0.0.1", "port": address.port, "sslmode": "disable", "database": database.database}
        connections = {
            "write-target": {**place, "user": database.writer, "password": {"file": str(tmp_path / "writer-secret")}},
            "prod-replica": {**place, "user": database.user, "password": {"file": str(tmp_path / "reader-secret")}},
        }
        async with open_world(database, tmp_path, config={"connections": connections}) as world:
            yield world, address, clock


async def _writing(world: World) -> tuple[Connection, asyncio.Task[object], int]:
    """A session whose statement has inserted a row and goes on."""
    connection = await connect_psycopg(world, await world.token(add_writer(world)), "writer", "write-target")
    await guarded(world.database)
    insert = f"INSERT INTO {world.database.writable} (note) VALUES ('stalled')"
    running: asyncio.Task[object] = asyncio.create_task(
        connection.execute(f"{insert}; SELECT pg_sleep(600); {insert}".encode())
    )
    pid = connection.info.backend_pid
    active = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
    await until_it_holds(lambda: ask(world.database, active, pid))
    return connection, running, pid


async def _over(connection: Connection, running: asyncio.Task[object]) -> str:
    """The client's last error."""
    with pytest.raises(psycopg.Error) as error:
        await running
    await connection.close()
    return str(error.value)


async def _is_nothing_left(world: World, pid: int) -> bool:
    alive = await ask(world.database, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid)
    rows = await ask(world.database, f"SELECT count(*) FROM {world.database.writable} WHERE note = 'stalled'")
    return (alive, rows) == (0, 0)


@pytest.mark.usefixtures("answered_cancels")
async def test_a_connection_that_passes_nothing_keeps_no_session_from_its_end(
    stalled: tuple[World, MovingAddress, Ahead],
) -> None:
    world, address, clock = stalled
    for way, end in WAYS.items():
        connection, running, pid = await _writing(world)
        with address.stalling(SESSIONS):
            ending = asyncio.ensure_future(end(world, clock))
            error = await _over(connection, running)
            await ending
            await until(lambda: [one for one in records(world, "session.ended") if one["reason"] == way])  # noqa: B023
            assert await _is_nothing_left(world, pid), way
        assert "57P01" in error or "terminating" in error or "is over" in error, error
        [record] = [one for one in records(world, "session.ended") if one["reason"] == way]
        proof = record["proof"]
        assert isinstance(proof, dict)
        assert (proof["gone"], proof["by"], proof["cancel_sent"]) == (True, "look", True)


async def test_stalled_control_connections_delay_the_proof_and_never_the_end_of_the_client(
    stalled: tuple[World, MovingAddress, Ahead],
) -> None:
    world, address, clock = stalled
    connection, running, pid = await _writing(world)
    with address.stalling(CONTROLS):
        ending = asyncio.ensure_future(WAYS["revoked"](world, clock))
        error = await _over(connection, running)
        await until(lambda: records(world, "window.ending"))
        [remains] = records(world, "backend.remains")
        assert records(world, "session.ended") == records(world, "window.ended") == []
    assert "may still be committed" in error
    proof = remains["proof"]
    assert isinstance(proof, dict)
    assert (proof["gone"], proof["by"]) == (False, None)
    await _ended_after_all(world, pid)
    await ending


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_backend_that_does_not_run_is_no_proof_until_it_is_gone(
    stalled: tuple[World, MovingAddress, Ahead],
) -> None:
    world, _, clock = stalled
    connection, running, pid = await _writing(world)
    with _stopped(pid):
        ending = asyncio.ensure_future(WAYS["revoked"](world, clock))
        error = await _over(connection, running)
        await until(lambda: records(world, "window.ending"))
        [remains] = records(world, "backend.remains")
        assert records(world, "session.ended") == records(world, "window.ended") == []
    assert "may still be committed" in error
    proof = remains["proof"]
    assert isinstance(proof, dict)
    assert (proof["gone"], proof["by"]) == (False, None)
    await _ended_after_all(world, pid)
    await ending


async def _ended_after_all(world: World, pid: int) -> None:
    await until(lambda: records(world, "window.ended"))
    [ended] = records(world, "session.ended")
    proof = ended["proof"]
    assert isinstance(proof, dict)
    assert (proof["gone"], proof["by"], proof["terminate_sent"]) == (True, "look", True)
    assert await _is_nothing_left(world, pid)
