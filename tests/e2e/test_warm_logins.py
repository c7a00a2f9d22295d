"""Connections that are made ahead, on a real server: who gets one, and that it is like any other session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.worlds import add_reader, ask, change, open_world, records
from tests.run.waiting import until_it_holds

AHEAD = "SELECT array_agg(pid ORDER BY backend_start) FROM pg_stat_activity WHERE application_name LIKE 'pgjit w\\_%'"
# What a session may rely on, and what pgjit relies on, whatever the client resets.
PINNED = (
    "pgjit.identity", "default_transaction_read_only", "client_encoding", "standard_conforming_strings",
    "search_path", "role", "extra_float_digits",
)  # fmt: skip
TIMEOUTS = ("statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout")
MOST = 2

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


def _open(database: DemoDatabase, folder: Path) -> World:
    secret = folder / "warm-secret"
    secret.write_text(database.password)
    connections = {
        name: {
            "host": str(database.socket_dir), "port": database.port, "database": database.database,
            "user": database.user, "password": {"file": str(secret)}, "warm": MOST,
        }
        for name in ("prod-replica", "write-target")
    }  # fmt: skip
    return open_world(database, folder, config={"connections": connections})


@pytest.fixture
async def world(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with _open(database, tmp_path) as opened:
        yield opened


async def _connect(world: World, token: str) -> Connection:
    conninfo = world.conninfo("reader") + " application_name=checks options='-c extra_float_digits=2'"
    return await psycopg.AsyncConnection.connect(conninfo, password=token, autocommit=True)


async def _ahead(world: World, number: int) -> list[int]:
    """The backends that were made ahead, when there are so many."""

    async def asked() -> list[int] | None:
        found = await ask(world.database, AHEAD)
        backends = found if isinstance(found, list) else []
        return [0, *backends] if len(backends) == number else None

    found = await until_it_holds(asked)
    assert found is not None
    return found[1:]


async def _settings(connection: Connection, names: tuple[str, ...]) -> dict[str, str]:
    values = {}
    for name in names:
        row = await (await connection.execute(f"SELECT current_setting('{name}', true)")).fetchone()
        assert row is not None
        values[name] = row[0]
    return values


async def test_a_session_on_a_connection_made_ahead_is_like_any_other(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await _connect(world, token) as cold:
        expected = await _settings(cold, PINNED)
    assert expected["pgjit.identity"]
    (ready,) = await _ahead(world, 1)
    async with await _connect(world, token) as warm:
        assert warm.info.backend_pid == ready
        assert await _settings(warm, PINNED) == expected
        opened = records(world, "session.opened")[-1]
        assert opened["backend_pid"] == ready
        name = f"pgjit {opened['session']} checks"
        assert await _settings(warm, ("application_name",)) == {"application_name": name}
        assert warm.info.parameter_status("application_name") == name
        for reset in ("RESET ALL", "DISCARD ALL"):
            await warm.execute(reset)
            assert await _settings(warm, PINNED) == expected
            kept = await _settings(warm, TIMEOUTS)
            assert {name for name, value in kept.items() if value in ("0", "")} == set()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await warm.execute("DELETE FROM notes")
        # No other session gets it, now or later.
        others = [await _connect(world, token) for _ in range(3)]
        pids = [ready, *(other.info.backend_pid for other in others)]
        assert len(set(pids)) == len(pids)
        for other in others:
            await other.close()
    assert ready not in await _ahead(world, MOST)


async def test_another_agent_does_not_get_it(world: World) -> None:
    one, two = [await world.token(add_reader(world)) for _ in range(2)]
    async with await _connect(world, one) as first:
        identity = await _settings(first, ("pgjit.identity",))
    (ready,) = await _ahead(world, 1)
    async with await _connect(world, two) as second:
        assert second.info.backend_pid != ready
        assert await _settings(second, ("pgjit.identity",)) != identity


async def test_one_that_the_server_has_ended_is_not_used(world: World) -> None:
    token = await world.token(add_reader(world))
    await (await _connect(world, token)).close()
    (ready,) = await _ahead(world, 1)
    assert await ask(world.database, "SELECT pg_terminate_backend($1, 10000)", ready)
    async with await _connect(world, token) as connection:
        assert connection.info.backend_pid != ready
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def test_one_of_an_earlier_secret_is_not_used(world: World, tmp_path: Path) -> None:
    token = await world.token(add_reader(world))
    await (await _connect(world, token)).close()
    (ready,) = await _ahead(world, 1)
    role = world.database.user
    await change(world.database, f"ALTER ROLE {role} PASSWORD 'another'")
    try:
        (tmp_path / "warm-secret").write_text("another")
        async with await _connect(world, token) as connection:
            assert connection.info.backend_pid != ready
    finally:
        await change(world.database, f"ALTER ROLE {role} PASSWORD '{world.database.password}'")


async def test_they_are_gone_with_pgjit(database: DemoDatabase, tmp_path: Path) -> None:
    async with _open(database, tmp_path) as world:
        await (await _connect(world, await world.token(add_reader(world)))).close()
        await _ahead(world, 1)
    assert await _ahead(world, 0) == []
