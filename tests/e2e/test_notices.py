"""NOTICEs of pgjit with real clients: at the login and before the end, and never in a client's results."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from pgjit.demo.world import World
from pgjit.proxy import end_notices
from pgwire.messages.authentication import encode_password
from pgwire.messages.startup import encode_startup
from tests.e2e.clients import connect_asyncpg, connect_psycopg, psql
from tests.e2e.worlds import add_reader, records
from tests.fakes.scripted_client import ScriptedClient, trusting
from tests.run.waiting import until

OFF = ["-c pgjit.notices=off", "-c client_min_messages=warning", "-c client_min_messages=error --pgjit.notices=on"]


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notices before the end come 1 s and 2 s after the window of 30 minutes was opened."""
    before = (timedelta(minutes=30) - timedelta(seconds=second) for second in (1, 2))
    monkeypatch.setattr(end_notices, "BEFORE_END", tuple(before))


async def test_psql_writes_it_to_stderr_and_scripts_read_what_they_did(world: World) -> None:
    token = await world.token(add_reader(world))
    said = await psql(world, token, "reader", "SELECT 1", options="")
    assert said.out == "1\n"
    assert said.err.startswith("NOTICE:  window w_")
    for words in ("Policy `reader`: access ", "SHOW pgjit.allowed"):
        assert words in said.err
    for options in OFF:
        said = await psql(world, token, "reader", "SELECT 1", options=options)
        assert (said.out, said.err) == ("1\n", "")
    said = await psql(world, token, "reader", "SELECT 1", options="-c pgjit.notices=perhaps")
    assert "startup parameter `pgjit.notices` is neither on nor off" in said.err


async def test_it_stands_between_the_key_and_the_first_ready_for_query(world: World) -> None:
    token = await world.token(add_reader(world))
    client = await ScriptedClient.open(world.app.port)
    await client.start_tls(trusting(world.certificates.authority))
    async with client:
        await client.send(encode_startup({"user": "reader", "database": "prod-replica"}))
        await client.frames(until="RE")
        await client.send(encode_password(token.encode()))
        kinds = "".join(kind for kind, _ in await client.frames(until="ZE"))
        assert kinds.startswith("RS")
        assert kinds.endswith("SKNZ")


async def test_an_idle_client_is_warned_before_the_end(world: World, early: None) -> None:
    token = await world.token(add_reader(world))
    heard: list[str] = []

    def hear(_: Any, message: Any) -> None:
        heard.append(str(message.message))

    connection = await connect_asyncpg(world, token, "reader")
    try:
        connection.add_log_listener(hear)
        await until(lambda: len(heard) == 2)
        assert all(text.startswith("session ends in 30 minutes, at ") for text in heard)
        assert await connection.fetchval("SELECT 1") == 1
    finally:
        await connection.close()


async def test_a_pipeline_and_a_copy_read_what_they_would_without(world: World, early: None) -> None:
    token = await world.token(add_reader(world))
    heard: list[str | None] = []
    async with await connect_psycopg(world, token, "reader") as connection:
        connection.add_notice_handler(lambda notice: heard.append(notice.message_primary))
        async with connection.pipeline():
            cursors = [await connection.execute("SELECT %s::int, pg_sleep(0.1)", (n,)) for n in range(12)]
        assert [(await cursor.fetchall())[0][0] for cursor in cursors] == list(range(12))
        lines = 0
        async with (
            connection.cursor() as cursor,
            cursor.copy("COPY (SELECT n, pg_sleep(0.01) FROM generate_series(1, 150) n) TO STDOUT") as copy,
        ):
            async for row in copy:
                lines += bytes(row).count(b"\n")
        assert lines == 150
        for _ in range(100):
            if len(heard) < 2:  # one was held back by the COPY
                await connection.execute("SELECT pg_sleep(0.1)")
        assert len(heard) == 2
    assert {r["ended"] for r in records(world, "outcome")} == {"completed"}


async def test_a_client_that_sets_its_level_later_is_sent_none(world: World, early: None) -> None:
    token = await world.token(add_reader(world))
    heard: list[psycopg.errors.Diagnostic] = []
    async with await connect_psycopg(world, token, "reader") as connection:
        await connection.execute("SET client_min_messages = warning")
        connection.add_notice_handler(heard.append)
        await connection.execute("SELECT pg_sleep(2.5)")
    assert not heard
