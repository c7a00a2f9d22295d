"""Limits, denied columns and observation with a real server: cut, cancelled, refused, recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import psycopg
import pytest

from pgjit.app import App
from pgjit.config import load_config
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg, connect_psycopg
from tests.e2e.worlds import POLICIES, add_breaker, add_member, ask, open_world, records
from tests.run.waiting import until

LIMITED = "44444444-4444-4444-8444-444444444444"
OBSERVED = "55555555-5555-4555-8555-555555555555"


def outcomes(world: World) -> list[tuple[str, str, object]]:
    """(statement, how it ended, rows)."""
    texts = {r["execution"]: str(r["statement"]) for r in records(world, "execution")}
    return [(texts[r["execution"]], str(r["ended"]), r["rows"]) for r in records(world, "outcome")]


async def test_a_result_is_cut_at_its_limit_and_the_query_cancelled_at_the_server(world: World) -> None:
    token = await world.token(add_member(world, LIMITED))
    sql = "SELECT generate_series(1, 100000000)"  # given row by row, unlike FROM generate_series
    async with await connect_psycopg(world, token, "limited") as connection:
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="limit of 100 rows"):
            await connection.execute(sql)
        running = "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active'"
        assert await ask(world.database, running, sql) == 0
        cursor = await connection.execute("SELECT n FROM generate_series(1, 100) n")
        assert len(await cursor.fetchall()) == 100
    assert outcomes(world) == [(sql, "limited", 100), ("SELECT n FROM generate_series(1, 100) n", "completed", 100)]


async def test_asyncpg_reads_what_is_within_the_limit_by_a_cursor_and_goes_on_after_a_cut(world: World) -> None:
    token = await world.token(add_member(world, LIMITED))
    connection = await connect_asyncpg(world, token, "limited")
    try:
        with pytest.raises(asyncpg.ProgramLimitExceededError):
            await connection.fetch("SELECT repeat('x', 1000) FROM generate_series(1, 99)")
        assert len(await connection.fetch("SELECT id FROM orders LIMIT 90")) == 90
        async with connection.transaction(readonly=True):
            with pytest.raises(asyncpg.ProgramLimitExceededError):
                await connection.fetch("SELECT id FROM orders LIMIT 101")
    finally:
        await connection.close()


async def test_a_statement_over_its_time_is_cancelled_and_says_whose_limit_it_was(world: World) -> None:
    token = await world.token(add_member(world, LIMITED))
    async with await connect_psycopg(world, token, "limited") as connection:
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="limit of 1 s"):
            await connection.execute("SELECT pg_sleep(30)")
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    assert [ended for _, ended, _ in outcomes(world)] == ["limited", "completed"]


async def test_a_transaction_that_lies_idle_is_ended(world: World) -> None:
    token = await world.token(add_member(world, LIMITED))
    async with await connect_psycopg(world, token, "limited") as connection:
        await connection.execute("BEGIN")
        ended = await until(lambda: records(world, "session.ended"))
        assert "idle-in-transaction" in str(ended[0]["detail"])
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            await connection.execute("SELECT 1")


async def test_sessions_at_once_and_statements_in_a_window_are_counted_over_all_sessions(world: World) -> None:
    token = await world.token(add_member(world, LIMITED))
    one = await connect_psycopg(world, token, "limited")
    other = await connect_psycopg(world, token, "limited")
    with pytest.raises(psycopg.OperationalError, match="too many sessions under this policy"):
        await connect_psycopg(world, token, "limited")
    for _ in range(20):
        await one.execute("SELECT 1")
        await other.execute("SELECT 2")
    with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="budget of this window is spent"):
        await other.execute("SELECT 3")
    await one.close()
    await other.close()
    assert ("SELECT 3", "refused", 0) in outcomes(world)


WAYS_TO_A_DENIED_COLUMN = [
    "SELECT email FROM customers",
    "SELECT * FROM customers",
    "SELECT c FROM customers c",
    "SELECT row_to_json(c) FROM public.customers c",
    "SELECT 1 FROM customers WHERE email LIKE 'a%'",
    "SELECT x.b FROM (SELECT id a, email b FROM customers) x",
    "TABLE customers",
    "COPY customers TO STDOUT",
    "DECLARE c CURSOR WITH HOLD FOR SELECT email FROM customers",
    "SELECT * FROM customers NATURAL JOIN (SELECT 'x' AS email) y",
]


async def test_a_denied_column_is_refused_by_every_way_to_it(world: World) -> None:
    token = await world.token(add_member(world, LIMITED))
    async with await connect_psycopg(world, token, "limited") as connection:
        for sql in WAYS_TO_A_DENIED_COLUMN:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(sql.encode())
        assert await (await connection.execute("SELECT id FROM customers WHERE id = 1")).fetchone() == (1,)


async def test_observation_runs_what_the_preset_allows_and_records_what_would_have_been_refused(world: World) -> None:
    token = await world.token(add_member(world, OBSERVED))
    async with await connect_psycopg(world, token, "observed") as connection:
        await connection.execute("SELECT email FROM customers LIMIT 1")
        await connection.execute("SELECT count(*) FROM payments WHERE id < %s", (10,))
        await connection.execute("SELECT count(*) FROM orders")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("DELETE FROM payments")
    found = [
        (r["decision"], [v["rule"] for v in r.get("violations", [])])  # type: ignore[attr-defined]
        for r in records(world, "execution")
    ]
    assert [decision for decision, _ in found] == ["allow", "allow", "allow", "deny"]
    assert [bool(rules) for _, rules in found] == [True, True, False, True]


async def test_what_was_used_of_a_window_is_not_given_back_by_a_restart(
    database: DemoDatabase, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    async with open_world(database, folder) as world:
        member = add_member(world, LIMITED)
        async with await connect_psycopg(world, await world.token(member), "limited") as connection:
            for _ in range(39):
                await connection.execute("SELECT 1")
        await world.app.__aexit__(None, None, None)
        async with App(await asyncio.to_thread(load_config, world.config_file)) as again:
            world.app = again
            async with await connect_psycopg(world, await world.token(member), "limited") as connection:
                await connection.execute("SELECT 1")
                with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="budget of this window"):
                    await connection.execute("SELECT 2")


async def test_the_time_of_statements_and_transactions_holds_where_the_server_was_told_otherwise(
    database: DemoDatabase, tmp_path: Path
) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    full = (POLICIES / "full.yaml").read_text()
    (policies / "full.yaml").write_text(f"{full}limits:\n  statement_time: 1s\n  idle_in_transaction: 1s\n")
    async with open_world(database, tmp_path, policies=policies) as world:
        token = await world.token(add_breaker(world))
        async with await connect_psycopg(world, token, "full", "write-target") as connection:
            await connection.execute("SET statement_timeout = 0")
            await connection.execute("SET idle_in_transaction_session_timeout = 0")
            with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="limit of 1 s"):
                await connection.execute("SELECT pg_sleep(60)")
            await connection.execute("BEGIN")
            ended = await until(lambda: records(world, "session.ended"))
            assert ended[0]["reason"] == "idle-in-transaction"
            with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
                await connection.execute("SELECT 1")
        assert [ended for _, ended, _ in outcomes(world)] == ["completed", "completed", "limited", "completed"]
