"""Ways around the limits of results, and around denied columns, that once were open."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgwire.messages.query import encode_query
from tests.e2e.clients import connect_psycopg, psql
from tests.e2e.test_holes import SYNC, bind, execute, parse, said
from tests.e2e.worlds import POLICIES, add_member, add_reader, add_writer, ask, change, open_world, records
from tests.fakes.scripted_client import ScriptedClient, trusting

LIMITED = "44444444-4444-4444-8444-444444444444"
SETUP = """
    CREATE FUNCTION public.attack_check(t text) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'ran with %', t; RETURN true; END $$;
    CREATE DOMAIN public.attack_domain AS text CHECK (public.attack_check(VALUE));
    CREATE TABLE public.attack_table (id int, d public.attack_domain);
    INSERT INTO attack_table VALUES (1, 'x');
    GRANT SELECT ON attack_table TO pgjit_agent;
    CREATE FUNCTION public.attack_notices(n int) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN FOR i IN 1..n LOOP RAISE NOTICE '%', repeat('x', 10000); END LOOP; RETURN n; END $$;
    GRANT UPDATE ON customers TO pgjit_writer;
"""
TEARDOWN = """
    DROP FUNCTION attack_notices(int);
    DROP TABLE attack_table; DROP DOMAIN attack_domain; DROP FUNCTION attack_check(text);
    REVOKE UPDATE ON customers FROM pgjit_writer; DELETE FROM notes WHERE note LIKE 'attack%';
"""


@pytest.fixture
async def own(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    """`limited` with no limit but of bytes; `writer` with a denied column and a limit of rows."""
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    limited = (policies / "limited.yaml").read_text().split("limits:")[0]
    limited = limited.replace("  allow:\n", "  allow:\n    - function: public.attack_notices\n")
    (policies / "limited.yaml").write_text(limited + "limits:\n  bytes: 64kB\n")
    writer = (policies / "writer.yaml").read_text().rstrip()
    (policies / "writer.yaml").write_text(
        writer + "\n  deny:\n    - columns: [customers.email]\nlimits:\n  rows: 10\n"
    )
    await change(database, SETUP)
    try:
        async with open_world(database, tmp_path, policies=policies) as world:
            yield world
    finally:
        await change(database, TEARDOWN)


async def test_an_error_carries_no_more_than_the_limit_of_bytes(own: World) -> None:
    token = await own.token(add_member(own, LIMITED))
    async with await connect_psycopg(own, token, "limited") as connection:
        with pytest.raises(psycopg.Error) as raised:
            await connection.execute("SELECT string_agg(o::text, ',')::int FROM orders o")
    assert len(str(raised.value)) < 65536


async def test_notices_give_no_more_than_the_limit_of_bytes(own: World) -> None:
    token = await own.token(add_member(own, LIMITED))
    heard: list[str] = []
    async with await connect_psycopg(own, token, "limited") as connection:
        connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
        assert await (await connection.execute("SELECT public.attack_notices(5)")).fetchone() == (5,)
        assert len(heard) == 5
        for sql in ("SELECT public.attack_notices(1000)", "SELECT public.attack_notices(7)"):
            with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="limit of 65536 bytes"):
                await connection.execute(sql)
            await connection.rollback()
    assert len(heard) == 5 + 6 + 6


async def test_a_denied_column_is_not_told_by_the_detail_of_a_constraint(own: World) -> None:
    token = await own.token(add_writer(own))
    async with await connect_psycopg(own, token, "writer", "write-target") as connection:
        with pytest.raises(psycopg.Error) as raised:
            await connection.execute("UPDATE customers SET city = NULL WHERE id = 1")
    assert "@example.com" not in str(raised.value)


async def test_what_comes_behind_a_cut_in_the_same_unit_is_not_run(own: World) -> None:
    """The client reads an error for the unit, which PostgreSQL rolls back up to Sync."""
    unit = parse(b"", b"SELECT n FROM generate_series(1, 11) n") + bind(b"", b"") + execute()
    unit += parse(b"", b"INSERT INTO notes (note) VALUES ('attack unit')") + bind(b"", b"") + execute() + SYNC
    async with await opened(own, await own.token(add_writer(own)), "writer", "write-target") as client:
        heard = await said(client, unit, 1)
    assert any(kind == "E" for kind, _ in heard)
    assert await ask(own.database, "SELECT count(*) FROM notes WHERE note = 'attack unit'") == 0


async def test_a_write_does_not_come_with_others_where_a_result_may_be_cut(own: World) -> None:
    both = b"SELECT n FROM generate_series(1, 11) n; INSERT INTO notes (note) VALUES ('attack both')"
    async with await opened(own, await own.token(add_writer(own)), "writer", "write-target") as client:
        heard = await said(client, encode_query(both), 1)
    assert [kind for kind, _ in heard] == ["E", "Z"]
    assert await ask(own.database, "SELECT count(*) FROM notes WHERE note = 'attack both'") == 0


async def test_the_cancel_of_a_cut_hits_no_other_statement(own: World) -> None:
    pair = encode_query(b"SELECT n FROM generate_series(1, 11) n") + encode_query(b"SELECT 'innocent', pg_sleep(0.2)")
    async with await opened(own, await own.token(add_writer(own)), "writer", "write-target") as client:
        await said(client, pair * 5, 10)
    texts = {record["execution"]: str(record["statement"]) for record in records(own, "execution")}
    ended = [r["ended"] for r in records(own, "outcome") if "innocent" in texts[r["execution"]]]
    assert ended == ["completed"] * 5


async def test_the_limit_that_cut_is_the_one_that_is_told(own: World) -> None:
    token = await own.token(add_member(own, LIMITED))
    async with await connect_psycopg(own, token, "limited") as connection:
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="limit of 65536 bytes"):
            await connection.execute("SELECT repeat('x', 70000)")


async def test_psql_lists_extensions(own: World) -> None:
    heard = await psql(own, await own.token(add_reader(own)), "reader", r"\dx")
    assert heard.err == ""


async def opened(world: World, token: str, user: str, connection: str) -> ScriptedClient:
    client = await ScriptedClient.open(world.app.port)
    await client.start_tls(trusting(world.certificates.authority))
    await client.log_in({"user": user, "database": connection}, token)
    return client
