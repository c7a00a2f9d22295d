"""The end is the end: what runs is stopped, nothing of it is committed, and the journal has the proof."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg, connect_psycopg
from tests.e2e.worlds import Record, add_reader, add_writer, ask, open_world, records
from tests.run.waiting import until, until_it_holds

TTL = {"reader": timedelta(seconds=2), "writer": timedelta(seconds=2)}


def _ends_at(world: World) -> datetime:
    window = records(world, "window.opened")[0]["window"]
    assert isinstance(window, dict)
    return datetime.fromisoformat(str(window["ends_at"]))


async def _gone_at(world: World, pid: int) -> datetime:
    gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1"
    await until_it_holds(lambda: ask(world.database, gone, pid))
    return datetime.now(UTC)


async def _ended(world: World) -> Record:
    """The record of the session's end: it is written after the client was told."""
    found = await until(lambda: records(world, "window.ended"))
    assert found[0]["reason"] == "ttl"
    return records(world, "session.ended")[0]


@pytest.mark.usefixtures("answered_cancels")
async def test_a_running_statement_is_stopped_and_not_before_the_end(database: DemoDatabase, tmp_path: Path) -> None:
    async with open_world(database, tmp_path, ttl=TTL) as world:
        token = await world.token(add_reader(world))
        connection = await connect_psycopg(world, token, "reader")
        pid = connection.info.backend_pid
        running = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
        assert await _gone_at(world, pid) >= _ends_at(world)
        with pytest.raises(psycopg.errors.QueryCanceled, match="is over") as cancelled:
            await running
        assert "new window may be requested from" in str(cancelled.value.diag.message_hint)
        with pytest.raises(psycopg.OperationalError, match="is over"):
            await connection.execute("SELECT 1")
        await connection.close()
        ended = await _ended(world)
        proof = ended["proof"]
        assert isinstance(proof, dict)
        assert (ended["reason"], proof["cancel_sent"], proof["gone"]) == ("ttl", True, True)
        outcome = records(world, "outcome")[0]
        assert (outcome["ended"], outcome["sqlstate"]) == ("failed", "57014")


@pytest.mark.parametrize("how", ["one message", "transaction", "pipeline of asyncpg"])
async def test_a_write_that_is_under_way_does_not_commit(database: DemoDatabase, tmp_path: Path, how: str) -> None:
    mark = f"end of window: {how}"
    insert = f"INSERT INTO {database.writable} (note) VALUES ('{mark}')"
    async with open_world(database, tmp_path, ttl=TTL) as world:
        token = await world.token(add_writer(world))
        if how == "one message":
            running = asyncio.create_task(_psycopg(world, token, f"{insert}; SELECT pg_sleep(600); {insert}"))
        elif how == "transaction":
            running = asyncio.create_task(
                _psycopg(world, token, "BEGIN", insert, "SELECT pg_sleep(600)", insert, "COMMIT")
            )
        else:
            running = asyncio.create_task(_asyncpg(world, token, insert))
        with pytest.raises(Exception, match=r"cancel|over|closed"):
            await running
        ended = await _ended(world)
        proof = ended["proof"]
        assert isinstance(proof, dict)
        assert proof["gone"] is True
        # The first insert did run: what is tested is that it was not committed.
        outcomes = {r["execution"]: r["ended"] for r in records(world, "outcome")}
        ran = [outcomes[r["execution"]] for r in records(world, "execution") if r["statement"] == insert]
        assert ran[0] == "completed"
    assert await ask(database, f"SELECT count(*) FROM {database.writable} WHERE note = $1", mark) == 0


async def _psycopg(world: World, token: str, *statements: str) -> None:
    async with await connect_psycopg(world, token, "writer", "write-target") as connection:
        for statement in statements:
            await connection.execute(statement.encode())


async def _asyncpg(world: World, token: str, insert: str) -> None:
    connection = await connect_asyncpg(world, token, "writer", "write-target")
    try:
        async with connection.transaction():
            await connection.fetch(insert)
            await connection.fetch("SELECT pg_sleep($1)", 600.0)
            await connection.fetch(insert)
    finally:
        connection.terminate()


async def test_what_waits_behind_the_running_statement_does_not_begin(database: DemoDatabase, tmp_path: Path) -> None:
    """Cancelling alone would let the server take the next message, which commits by itself."""
    insert = f"INSERT INTO {database.writable} (note) VALUES ('waiting behind')"
    async with open_world(database, tmp_path, ttl=TTL) as world:
        token = await world.token(add_writer(world))
        connection = await connect_psycopg(world, token, "writer", "write-target")
        wire = connection.pgconn
        wire.enter_pipeline_mode()
        for statement in ("SELECT pg_sleep(600)", insert):
            wire.send_query_params(statement.encode(), None)
            wire.pipeline_sync()
        wire.flush()
        await _ended(world)
        await connection.close()
        texts = [record["statement"] for record in records(world, "execution")]
        assert texts == ["SELECT pg_sleep(600)", insert]
    assert await ask(database, f"SELECT count(*) FROM {database.writable} WHERE note = 'waiting behind'") == 0


async def test_a_write_within_the_window_does_commit(database: DemoDatabase, tmp_path: Path) -> None:
    async with open_world(database, tmp_path) as world:
        token = await world.token(add_writer(world))
        await _psycopg(world, token, f"INSERT INTO {database.writable} (note) VALUES ('within')")
    assert await ask(database, f"SELECT count(*) FROM {database.writable} WHERE note = 'within'") == 1


async def test_an_idle_session_and_one_in_a_transaction_end_too(database: DemoDatabase, tmp_path: Path) -> None:
    async with open_world(database, tmp_path, ttl=TTL) as world:
        token = await world.token(add_reader(world))
        idle = await connect_psycopg(world, token, "reader")
        open_ = await connect_psycopg(world, token, "reader")
        await open_.execute("BEGIN")
        pids = [idle.info.backend_pid, open_.info.backend_pid]
        for pid in pids:
            await _gone_at(world, pid)
        await _ended(world)
        for connection in (idle, open_):
            with pytest.raises(psycopg.OperationalError, match="is over"):
                await connection.execute("SELECT 1")
            await connection.close()
        assert records(world, "window.ended")[0]["sessions"] == 2


async def test_the_next_connection_is_refused_until_the_cooldown_has_passed(
    database: DemoDatabase, tmp_path: Path
) -> None:
    async with open_world(database, tmp_path, ttl={"reader": timedelta(seconds=1)}) as world:
        agent = add_reader(world)
        first = await connect_psycopg(world, await world.token(agent), "reader")
        await _gone_at(world, first.info.backend_pid)
        await first.close()
        # A second token of the same identity changes nothing: the window is the identity's.
        token = await world.token(agent)
        with pytest.raises(psycopg.OperationalError, match="new window may be requested from"):
            await connect_psycopg(world, token, "reader")
        assert records(world, "login.refused")[0]["reference"] == "cooling-down"
        await until(lambda: datetime.now(UTC) >= _ends_at(world) + timedelta(seconds=1.05))
        again = await connect_psycopg(world, token, "reader")
        await again.close()
        assert len(records(world, "window.opened")) == 2


async def test_reconnecting_joins_the_window_and_does_not_move_its_end(world: World) -> None:
    token = await world.token(add_reader(world))
    shown = set()
    for _ in range(3):
        async with await connect_psycopg(world, token, "reader") as connection:
            shown.add(await (await connection.execute("SHOW pgjit.window")).fetchone())
    assert len(shown) == 1
    assert len(records(world, "window.opened")) == 1


async def test_twenty_connections_at_once_open_one_window(world: World) -> None:
    token = await world.token(add_reader(world))
    connections = await asyncio.gather(*(connect_psycopg(world, token, "reader") for _ in range(20)))
    for connection in connections:
        await connection.close()
    assert len(records(world, "window.opened")) == 1
    assert len(records(world, "session.opened")) == 20
