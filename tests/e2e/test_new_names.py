"""What is made, changed and dropped on the server while sessions are open: they are judged by what is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg, connect_psycopg
from tests.e2e.loose import POLICY, Line, refusal
from tests.e2e.worlds import add_reader, ask, change, open_world, records
from tests.run.waiting import until

_MADE = """
    CREATE SCHEMA fresh;
    CREATE TYPE fresh.colour AS ENUM ('red', 'green');
    CREATE TABLE fresh.things (id int, colour fresh.colour);
    INSERT INTO fresh.things VALUES (1, 'red');
    CREATE VIEW fresh.seen AS SELECT id FROM fresh.things;
    GRANT USAGE ON SCHEMA fresh TO pgjit_agent;
    GRANT SELECT ON ALL TABLES IN SCHEMA fresh TO pgjit_agent;
"""
_DENYING = POLICY + "  deny:\n    - columns: [customers.email]\n"


async def make(world: World) -> None:
    await change(world.database, _MADE)


@pytest.fixture
async def denying(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    policies = tmp_path / "denying"
    policies.mkdir()
    (policies / "reader.yaml").write_text(_DENYING)
    async with open_world(database, tmp_path, policies=policies) as served:
        yield served


@pytest.fixture
async def made(database: DemoDatabase) -> AsyncIterator[None]:
    """Nothing is there before the test makes it, and nothing after."""
    yield
    await ask(database, "DROP SCHEMA IF EXISTS fresh CASCADE")


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("text", [
    "SELECT count(*) FROM fresh.things", "SELECT count(*) FROM fresh.seen", "SELECT count('red'::fresh.colour)",
])  # fmt: skip
async def test_what_was_made_a_moment_ago_can_be_read_at_once(world: World, text: str) -> None:
    async with await connect_psycopg(world, await world.token(add_reader(world)), "reader") as connection:
        with pytest.raises(psycopg.errors.Error):
            await connection.execute(text.encode())
        await make(world)
        assert await (await connection.execute(text.encode())).fetchone() == (1,)
    decisions = [record["decision"] for record in records(world, "execution") if record["statement"] == text]
    assert decisions == ["deny", "allow"]


@pytest.mark.usefixtures("made")
async def test_a_prepared_statement_with_an_enum_made_a_moment_ago_takes_parameters(world: World) -> None:
    connection = await connect_asyncpg(world, await world.token(add_reader(world)), "reader")
    try:
        await make(world)
        rows = await connection.fetch("SELECT id, colour FROM fresh.things WHERE colour = $1::fresh.colour", "red")
        assert [tuple(row) for row in rows] == [(1, "red")]
    finally:
        await connection.close()


@pytest.mark.usefixtures("made")
async def test_a_large_statement_is_judged_again_as_well(world: World) -> None:
    text = f"SELECT id FROM fresh.things /* {'x' * 20_000} */".encode()
    async with await connect_psycopg(world, await world.token(add_reader(world)), "reader") as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            await connection.execute(text)
        await make(world)
        assert await (await connection.execute(text)).fetchone() == (1,)


@pytest.mark.usefixtures("made")
async def test_what_waits_for_a_look_keeps_its_place_among_other_messages(world: World) -> None:
    async with await connect_psycopg(world, await world.token(add_reader(world)), "reader") as connection:
        await make(world)
        async with connection.pipeline():
            asked = [
                await connection.execute(text.encode())
                for text in (
                    "SELECT 1",
                    "SELECT id + 1 FROM fresh.things",
                    "SELECT 3",
                    "SELECT id + 3 FROM fresh.seen",
                )
            ]
            assert [await cursor.fetchone() for cursor in asked] == [(1,), (2,), (3,), (4,)]
    assert [record["ended"] for record in records(world, "outcome")] == ["completed"] * 4


async def test_a_name_that_is_not_there_is_refused_as_the_server_would_and_what_follows_runs(world: World) -> None:
    async with await connect_psycopg(world, await world.token(add_reader(world)), "reader") as connection:
        for _ in range(2):
            with pytest.raises(psycopg.errors.UndefinedTable):
                await connection.execute("SELECT * FROM fresh.nothing")
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


@pytest.mark.usefixtures("made")
async def test_a_session_that_was_open_before_is_judged_by_the_catalog_of_now(denying: World) -> None:
    """A view is replaced: it reads a denied column now, and no name of it has changed."""
    await make(denying)
    line = await asyncio.to_thread(Line.through, denying, await denying.token(add_reader(denying)))
    question = "SELECT * FROM fresh.seen"
    assert refusal(await asyncio.to_thread(line.simple, question)) is None
    await ask(
        denying.database,
        "CREATE OR REPLACE VIEW fresh.seen AS SELECT id FROM customers WHERE email <> ''",
    )
    await asyncio.to_thread(line.simple, "SELECT * FROM fresh.nothing")  # makes it look
    told = refusal(await asyncio.to_thread(line.simple, question))
    assert told is not None
    assert told[:2] == ("42501", "pgjit:denied")
    line.close()


async def test_a_client_that_leaves_while_its_statement_waits_leaves_nothing_behind(world: World) -> None:
    connection = await connect_psycopg(world, await world.token(add_reader(world)), "reader")
    with pytest.raises(psycopg.errors.UndefinedTable):
        await connection.execute("SELECT * FROM fresh.nothing")
    connection.pgconn.send_query(b"SELECT * FROM fresh.nothing")  # waits for the pause to be over
    connection.pgconn.flush()
    await connection.close()
    async with asyncio.timeout(60):
        await until(lambda: records(world, "session.ended"))
