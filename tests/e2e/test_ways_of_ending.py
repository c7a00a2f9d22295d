"""Each way in which a window or a session ends, over each thing that a session may be doing.

All sessions of a way are in one window. What is asserted: the reason, the proof, and that nothing was committed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.grants.actor import Actor
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.identity.identity import IdentityKey
from pgjit.proxy.window.revocations import Revocations
from tests.e2e.attacked import Ahead
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import Record, add_writer, ask, open_world, records
from tests.run.waiting import until, until_it_holds

Connection = psycopg.AsyncConnection[tuple[object, ...]]

ADMIN = Actor(key=IdentityKey("t", "admin"), display="An Admin", via="api")


async def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        await connection.execute(statement.encode())


def _insert(database: DemoDatabase) -> str:
    return f"INSERT INTO {database.writable} (note) VALUES ('way of ending')"


async def _copy_in(connection: Connection, table: str) -> None:
    async with connection.cursor().copy(f"COPY {table} (note) FROM STDIN".encode()) as copy:
        await copy.write_row(("way of ending",))
        await asyncio.Event().wait()


async def _copy_out(connection: Connection) -> None:
    query = b"COPY (SELECT repeat('x', 1000) FROM generate_series(1, 300000)) TO STDOUT"
    async with connection.cursor().copy(query) as copy:
        await copy.read()
        await asyncio.Event().wait()  # a client that does not read any more


async def _pipeline(connection: Connection, insert: str) -> None:
    wire = connection.pgconn
    wire.enter_pipeline_mode()
    for statement in ("SELECT pg_sleep(600)", insert):
        wire.send_query_params(statement.encode(), None)
        wire.pipeline_sync()
    wire.flush()


async def _occupy(connections: list[Connection], database: DemoDatabase) -> list[asyncio.Task[None]]:
    """Each connection does something else; returns what is still running."""
    running, writing, copy_in, copy_out, in_transaction, cursor, pipeline, _idle = connections
    insert = _insert(database)
    await _run(in_transaction, "BEGIN", insert)
    await _run(cursor, "BEGIN", insert, "DECLARE c CURSOR FOR SELECT generate_series(1, 100000)", "FETCH 10 FROM c")
    await _pipeline(pipeline, insert)
    return [
        asyncio.create_task(_run(running, "SELECT pg_sleep(600)")),
        asyncio.create_task(_run(writing, f"{insert}; SELECT pg_sleep(600); {insert}")),
        asyncio.create_task(_copy_in(copy_in, database.writable)),
        asyncio.create_task(_copy_out(copy_out)),
    ]


@pytest.fixture
async def served(
    database: DemoDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[World, Ahead]]:
    clock = Ahead()
    monkeypatch.setattr("pgjit.app.application.Clock", lambda: clock)
    async with open_world(database, tmp_path) as world:
        yield world, clock


def _revocations(world: World) -> Revocations:
    return world.app._revocations


def _window(world: World) -> str:
    window = records(world, "window.opened")[-1]["window"]
    assert isinstance(window, dict)
    return str(window["id"])


async def _revoke(world: World, clock: Ahead) -> None:
    [revoked] = await _revocations(world).revoke(Scope(ScopeKind.WINDOW, _window(world)), "wrong table", ADMIN)
    assert revoked.id == _window(world)


async def _lock(world: World, clock: Ahead) -> None:
    lock = await _revocations(world).lock(Scope(ScopeKind.POLICY, "writer"), "incident 7", ADMIN)
    with contextlib.suppress(psycopg.OperationalError):
        await (await connect_psycopg(world, await world.token(add_writer(world)), "writer", "write-target")).close()
        raise AssertionError("a lock lets nobody in")
    assert await _revocations(world).unlock(lock.id, "over", ADMIN) is not None


async def _kill(world: World, clock: Ahead) -> None:
    for view in world.app.registry.latest_views(1_000):
        assert await _revocations(world).kill(view.id, "too much load", ADMIN)
    assert not await _revocations(world).kill("s_nobody", "too much load", ADMIN)


async def _lose_membership(world: World, clock: Ahead) -> None:
    session = next(iter(world.app.registry))
    await session.end("membership-lost")  # as the recheck of memberships calls it, for one of the sessions


async def _reach_the_end(world: World, clock: Ahead) -> None:
    clock.add(timedelta(minutes=31))


WAYS: dict[str, Callable[[World, Ahead], Awaitable[None]]] = {
    "revoked": _revoke,
    "locked": _lock,
    "killed": _kill,
    "membership-lost": _lose_membership,
    "ttl": _reach_the_end,  # the last: it moves the clock
}


async def _check(world: World, way: str, ended: list[Record], cells: int) -> None:
    assert [record["reason"] for record in ended] == [way] * cells
    for record in ended:
        proof = record["proof"]
        assert isinstance(proof, dict)
        assert (proof["gone"], proof["by"]) == (True, "look")
    if way != "killed":
        # The window whose sessions were killed goes on, and ends at its ttl without any.
        await until(
            lambda: [r for r in records(world, "window.ended") if (r["reason"], r["sessions"]) == (way, cells)]
        )
    count = f"SELECT count(*) FROM {world.database.writable} WHERE note = 'way of ending'"
    assert await ask(world.database, count) == 0, "nothing is committed after the end"


async def test_every_way_of_ending_stops_everything_that_a_session_does(served: tuple[World, Ahead]) -> None:
    world, clock = served
    for way, end in WAYS.items():
        before = len(records(world, "session.ended"))
        token = await world.token(add_writer(world))
        connections = [await connect_psycopg(world, token, "writer", "write-target") for _ in range(8)]
        pids = [connection.info.backend_pid for connection in connections]
        tasks = await _occupy(connections, world.database)
        active = "SELECT count(*) >= 5 FROM pg_stat_activity WHERE pid = ANY($1) AND state = 'active'"
        await until_it_holds(lambda: ask(world.database, active, pids))  # noqa: B023
        await end(world, clock)
        await until(lambda: len(records(world, "session.ended")) == before + len(pids))  # noqa: B023
        assert await ask(world.database, "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)", pids) == 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in connections:
            await connection.close()
        await _check(world, way, records(world, "session.ended")[before:], len(pids))


async def test_the_client_receives_the_reason_of_a_revocation_and_no_name(served: tuple[World, Ahead]) -> None:
    world, clock = served
    token = await world.token(add_writer(world))
    connection = await connect_psycopg(world, token, "writer", "write-target")
    await _revoke(world, clock)
    await until(lambda: records(world, "window.ended"))
    with pytest.raises(psycopg.OperationalError, match="was revoked") as over:
        await connection.execute("SELECT 1")
    assert "wrong table" in str(over.value)
    assert ADMIN.display not in str(over.value)
    await connection.close()
    with pytest.raises(psycopg.OperationalError, match="was revoked"):
        await connect_psycopg(world, token, "writer", "write-target")
