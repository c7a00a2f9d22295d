"""A proof names its server: what answers at the same address may be another one by the time a window ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.attacked import Ahead, control_server, ended, guarded, open_attacked, restore, serve_attacked, until
from tests.e2e.clients import connect_psycopg
from tests.e2e.moving_address import MovingAddress
from tests.e2e.worlds import add_breaker, ask, change, records
from tests.run.waiting import until_it_holds

CONTROLS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgjit control'"
NO_CONTROL = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgjit control'"
BACKEND = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND application_name ~ '^pgjit [a-z2-7]{16}'"

RUNS = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND query LIKE 'DO %'"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[DemoDatabase, DemoDatabase]]:
    with serve_attacked() as first, serve_attacked() as second:
        second.writer_password = first.writer_password
        asyncio.run(restore(second))
        yield first, second


@pytest.fixture
async def pair(servers: tuple[DemoDatabase, DemoDatabase]) -> AsyncIterator[tuple[DemoDatabase, DemoDatabase]]:
    yield servers
    for each in servers:
        await restore(each)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    ahead = Ahead()
    monkeypatch.setattr("pgjit.app.application.Clock", lambda: ahead)
    return ahead


def _reached(address: MovingAddress) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": address.port, "sslmode": "disable"}


def _backend(world: World, at: int = 0) -> dict[str, object]:
    found = records(world, "session.opened")[at]["backend"]
    assert isinstance(found, dict)
    return found


async def _move(address: MovingAddress, first: DemoDatabase, second: DemoDatabase) -> None:
    """Both control connections are on the second one, and none is on the first.

    Whatever connection to the first one were left, or were still being made while the address is moved, would end
    the session on it as it should.
    """
    await guarded(first)
    address.lead_to(second.socket_dir)
    await change(first, CONTROLS)
    await guarded(second)  # logins take turns: none to the first is under way any more
    await change(first, CONTROLS)
    await until_it_holds(lambda: ask(first, NO_CONTROL))


async def test_what_another_server_does_not_have_is_not_gone(
    pair: tuple[DemoDatabase, DemoDatabase], tmp_path: Path, clock: Ahead
) -> None:
    first, second = pair
    async with (
        MovingAddress(first.socket_dir) as address,
        open_attacked(first, tmp_path, own_login=True, place=_reached(address)) as world,
    ):
        token = await world.token(add_breaker(world))
        connection = await connect_psycopg(world, token, "full", "write-target")
        pid = connection.info.backend_pid
        await connection.execute("SET client_connection_check_interval = 0")
        running = asyncio.create_task(
            connection.execute(
                b"DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(0.01); EXCEPTION WHEN query_canceled THEN NULL; END;"
                b" END LOOP; END $$"
            )
        )
        await until_it_holds(lambda: ask(first, RUNS, pid))
        await _move(address, first, second)
        clock.add(timedelta(hours=1))
        await until(lambda: records(world, "window.ending") and records(world, "backend.remains"))
        [remains] = records(world, "backend.remains")
        assert "another server answers" in str(remains["proof"]["error"])  # type: ignore[index]
        assert records(world, "session.ended") == records(world, "window.ended") == []
        assert await ask(first, BACKEND, pid) == 1, "it runs on, and nobody says that it does not"
        address.lead_to(first.socket_dir)
        proof = (await ended(world))["proof"]
        assert isinstance(proof, dict)
        assert (proof["gone"], proof["by"]) == (True, "look")
        assert proof["server"]["system"] == _backend(world)["server"]["system"]  # type: ignore[index]
        assert await ask(first, BACKEND, pid) == 0
        await asyncio.gather(running, return_exceptions=True)
        await connection.close()


async def test_sessions_on_both_servers_of_an_address_end_each_with_the_proof_of_its_own(
    pair: tuple[DemoDatabase, DemoDatabase], tmp_path: Path, clock: Ahead
) -> None:
    first, second = pair
    async with (
        MovingAddress(first.socket_dir) as address,
        open_attacked(first, tmp_path, own_login=False, place=_reached(address)) as world,
    ):
        token = await world.token(add_breaker(world))
        one = await connect_psycopg(world, token, "full", "write-target")
        address.lead_to(second.socket_dir)
        two = await connect_psycopg(world, token, "full", "write-target")
        systems = [_backend(world, at)["server"]["system"] for at in (0, 1)]  # type: ignore[index]
        assert systems[0] != systems[1]
        clock.add(timedelta(hours=1))
        await until(lambda: bool(records(world, "window.ended")))
        proofs = {record["session"]: record["proof"] for record in records(world, "session.ended")}
        seen = [proofs[record["session"]] for record in records(world, "session.opened")]
        assert [proof["server"]["system"] for proof in seen] == systems  # type: ignore[index]
        assert all(proof["by"] == "look" for proof in seen)  # type: ignore[index]
        for connection in (one, two):
            await connection.close()


async def test_a_restart_of_the_very_server_proves_that_its_backends_are_gone(
    pair: tuple[DemoDatabase, DemoDatabase], tmp_path: Path, clock: Ahead
) -> None:
    first, _ = pair
    async with (
        MovingAddress(first.socket_dir) as address,
        open_attacked(first, tmp_path, own_login=False, place=_reached(address)) as world,
    ):
        token = await world.token(add_breaker(world))
        connection = await connect_psycopg(world, token, "full", "write-target")
        before = _backend(world)["server"]
        await asyncio.to_thread(control_server, first, "-m", "immediate", "restart")
        await until(lambda: bool(records(world, "session.ended")))
        [record] = records(world, "session.ended")
        proof = record["proof"]
        assert isinstance(proof, dict)
        assert (record["reason"], proof["gone"], proof["by"]) == ("server", True, "restart")
        assert proof["server"]["system"] == before["system"]  # type: ignore[index]
        assert proof["server"]["started_at"] > before["started_at"]  # type: ignore[index]
        clock.add(timedelta(hours=1))
        await ended(world)
        await connection.close()
