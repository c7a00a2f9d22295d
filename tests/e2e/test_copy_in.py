"""COPY from real clients: only where a policy may write, whole or not at all, and gone with the window."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg, connect_psycopg, psql
from tests.e2e.worlds import add_reader, add_writer, ask, open_world, records
from tests.run.waiting import until

COPY = "COPY notes (written_by, note) FROM STDIN"


@pytest.fixture(autouse=True)
async def _clean(database: DemoDatabase) -> AsyncIterator[None]:
    delete = "DELETE FROM notes WHERE note LIKE 'copied%'"
    await ask(database, delete)  # the server is shared with other files
    yield
    await ask(database, delete)


async def _copied(database: DemoDatabase) -> object:
    return await ask(database, "SELECT count(*) FROM notes WHERE note LIKE 'copied%'")


async def test_psql_copies_from_a_file(world: World, tmp_path: Path) -> None:
    token = await world.token(add_writer(world))
    rows = tmp_path / "rows"
    rows.write_text("".join(f"1\tcopied {number}\n" for number in range(5_000)))
    said = await psql(
        world, token, "writer", f"\\copy notes (written_by, note) FROM '{rows}'", "SELECT 'alive'",
        connection="write-target",
    )  # fmt: skip
    assert said.err == ""
    assert said.out.split() == ["COPY", "5000", "alive"]
    assert await _copied(world.database) == 5_000
    outcome = records(world, "outcome")[0]
    assert (outcome["ended"], outcome["rows"], outcome["command"]) == ("completed", 5_000, "COPY 5000")
    assert int(str(outcome["received"])) > rows.stat().st_size


async def test_psycopg_copies_in_the_extended_protocol_and_goes_on(world: World) -> None:
    token = await world.token(add_writer(world))
    async with await connect_psycopg(world, token, "writer", "write-target") as connection:
        for _ in range(2):
            async with connection.cursor().copy(COPY) as copy:
                for number in range(1_000):
                    await copy.write_row(("1", f"copied {number}"))
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
        with pytest.raises(psycopg.errors.BadCopyFileFormat):
            async with connection.cursor().copy(COPY) as copy:
                await copy.write(b"not three\n" * 10)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what psycopg sends is CopyFail
            async with connection.cursor().copy(COPY) as copy:
                await copy.write_row(("1", "copied never"))
                raise ZeroDivisionError
        assert await (await connection.execute("SELECT 2")).fetchone() == (2,)
    assert await _copied(world.database) == 2_000
    assert [r["ended"] for r in records(world, "outcome")] == [
        "completed", "completed", "completed", "completed", "failed", "failed", "completed",
    ]  # fmt: skip


async def test_asyncpg_copies_in_the_simple_protocol_and_binary(world: World) -> None:
    token = await world.token(add_writer(world))
    connection = await connect_asyncpg(world, token, "writer", "write-target")
    try:
        rows = [("1", f"copied {number}") for number in range(3_000)]
        status = await connection.copy_records_to_table("notes", records=rows, columns=["written_by", "note"])
        assert status == "COPY 3000"
        with pytest.raises(asyncpg.PostgresError):
            await connection.copy_records_to_table("notes", records=[("1", None)], columns=["written_by", "note"])
        assert await connection.fetchval("SELECT 7") == 7
    finally:
        await connection.close()
    assert await _copied(world.database) == 3_000


async def test_a_policy_that_reads_refuses_it_and_the_session_lives_on(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with connection.cursor().copy(COPY) as copy:
                await copy.write_row(("1", "copied never"))
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    assert await _copied(world.database) == 0


async def test_a_client_that_vanishes_midway_leaves_nothing(world: World) -> None:
    token = await world.token(add_writer(world))
    connection = await connect_psycopg(world, token, "writer", "write-target")
    copy = connection.cursor().copy(COPY)
    writer = await copy.__aenter__()
    await writer.write(b"1\tcopied half\n" * 10_000)
    connection.pgconn.finish()
    ended = await _session_ended(world)
    assert ended["reason"] in ("client", "client-gone")
    proof = ended["proof"]
    assert isinstance(proof, dict)
    assert proof["gone"] is True
    assert [r["ended"] for r in records(world, "outcome")] in (["cut"], ["failed"])
    assert await _copied(world.database) == 0


async def test_the_end_of_the_window_stops_a_copy_under_way(database: DemoDatabase, tmp_path: Path) -> None:
    async with open_world(database, tmp_path, ttl={"writer": timedelta(seconds=3)}) as world:
        token = await world.token(add_writer(world))
        connection = await connect_psycopg(world, token, "writer", "write-target")
        pid = connection.info.backend_pid
        copy = connection.cursor().copy(COPY)
        writer = await copy.__aenter__()
        await writer.write(b"1\tcopied late\n" * 1_000)
        ended = await _session_ended(world)
        assert ended["reason"] == "ttl"
        with pytest.raises(psycopg.Error):
            await copy.__aexit__(None, None, None)
        await connection.close()
        assert await ask(database, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid) == 0
        assert await _copied(database) == 0


async def _session_ended(world: World) -> dict[str, object]:
    return (await until(lambda: records(world, "session.ended")))[0]
