"""Each client logs in with a token, runs parameterised queries, is refused a write and goes on."""

from __future__ import annotations

import asyncio

import asyncpg
import psutil
import psycopg
import pytest

from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg, connect_psycopg, psql
from tests.e2e.worlds import add_reader, ask, records
from tests.run.journal_text import journal_text
from tests.run.waiting import until_it_holds


async def test_psql_reads_is_refused_a_write_and_goes_on(world: World) -> None:
    token = await world.token(add_reader(world))
    before = await ask(world.database, "SELECT count(*) FROM customers")
    said = await psql(
        world, token, "reader",
        "SELECT count(*) FROM customers", "DELETE FROM customers", "SELECT 'alive'",
    )  # fmt: skip
    assert said.out.split() == [str(before), "alive"]
    assert "ERROR:  42501" in said.err
    assert "DETAIL:" in said.err
    assert "HINT:" in said.err
    assert await ask(world.database, "SELECT count(*) FROM customers") == before


async def test_psql_shows_the_window_and_describes_a_table(world: World) -> None:
    token = await world.token(add_reader(world))
    said = await psql(
        world, token, "reader", "SHOW pgjit.window", "show PGJIT.policy;", "\\d orders", "\\dt", "\\df", "\\l"
    )
    assert said.err == ""
    assert said.out.startswith("w_")
    assert "customer_id" in said.out


async def test_a_client_that_takes_a_connection_for_its_database_is_shown_both(world: World) -> None:
    token = await world.token(add_reader(world))
    database = world.database.database
    said = await psql(world, token, "reader", f"\\c {database}")
    assert f"no policy opens connection `{database}` to you" in said.err
    assert f"HINT:  dbname is the name of a connection: for database `{database}` give `prod-replica`." in said.err
    said = await psql(world, token, "reader", "\\c postgres")
    assert "HINT:  Policy `reader` opens connection `prod-replica` to you: give that as dbname." in said.err
    said = await psql(world, token, "reader", 'SELECT count(*) FROM "prod-replica".public.orders')
    assert f"`{database}`" in said.err


async def test_psycopg_binds_on_the_server_and_lives_on_after_a_refusal(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        cursor = await connection.execute("SELECT %s::int + %s::int, %s::text", (1, 2, None))
        assert await cursor.fetchone() == (3, None)
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
            await connection.execute("UPDATE customers SET email = %s", ("x",))
        assert refused.value.diag.message_hint
        for _ in range(8):  # past psycopg's threshold of preparing by name
            cursor = await connection.execute("SELECT count(*) FROM orders WHERE id < %s", (10,), binary=True)
            assert (await cursor.fetchone()) == (9,)


async def test_a_refusal_fails_the_transaction_as_postgresql_would(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        await connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("DROP TABLE orders")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await connection.execute("SELECT 1")
        await connection.execute("ROLLBACK")
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def test_a_pipeline_with_a_refused_statement_keeps_its_order(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):  # noqa: PT012 - where it is raised is psycopg's
            async with connection.pipeline() as pipeline:
                first = await connection.execute("SELECT 1")
                await pipeline.sync()
                await connection.execute("DELETE FROM orders")
                await connection.execute("SELECT 2")
                await pipeline.sync()
        assert await first.fetchone() == (1,)
        assert await (await connection.execute("SELECT 3")).fetchone() == (3,)
    ended = {str(r["execution"]): r["ended"] for r in records(world, "outcome")}
    by_text = {str(r["statement"]): ended[str(r["execution"])] for r in records(world, "execution")}
    assert by_text["DELETE FROM orders"] == "refused"
    assert by_text.get("SELECT 2", "skipped") == "skipped"


async def test_asyncpg_prepares_fetches_and_lives_on_after_a_refusal(world: World) -> None:
    token = await world.token(add_reader(world))
    connection = await connect_asyncpg(world, token, "reader")
    try:
        assert await connection.fetchval("SELECT $1::int * 2", 21) == 42
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("TRUNCATE payments")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("WITH x AS (DELETE FROM payments RETURNING 1) SELECT * FROM x")
        rows = await connection.fetch("SELECT id FROM orders WHERE id = ANY($1::int[]) ORDER BY id", [1, 2, 3])
        assert [row["id"] for row in rows] == [1, 2, 3]
        async with connection.transaction(readonly=True):
            seen = [row["id"] async for row in connection.cursor("SELECT id FROM orders ORDER BY id LIMIT 120")]
        assert len(seen) == 120
    finally:
        await connection.close()


async def test_a_big_result_and_copy_out_arrive_whole(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        cursor = await connection.execute("SELECT repeat('x', 500) FROM generate_series(1, 20000)")
        assert len(await cursor.fetchall()) == 20000
        size = 0
        async with connection.cursor().copy("COPY (SELECT * FROM order_lines) TO STDOUT") as copy:
            async for chunk in copy:
                size += len(chunk)
        assert size > 100_000


async def test_cancel_reaches_the_running_query(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        running = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
        await _running(world, "SELECT pg_sleep(60)")
        await connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await running
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def _running(world: World, sql: str) -> None:
    found = "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active'"
    await until_it_holds(lambda: ask(world.database, found, sql))


async def test_every_execution_is_recorded_with_identity_window_and_outcome(world: World) -> None:
    agent = add_reader(world)
    token = await world.token(agent)
    async with await connect_psycopg(world, token, "reader") as connection:
        await connection.execute("SELECT 1; SELECT 2")
        await connection.execute("SELECT name FROM customers WHERE id = %s", (7,))
        await connection.execute("SELECT relname FROM pg_class LIMIT 1")
        pid = connection.info.backend_pid
    executions = records(world, "execution")
    assert [r["statement"] for r in executions] == [
        "SELECT 1", "SELECT 2", "SELECT name FROM customers WHERE id = $1", "SELECT relname FROM pg_class LIMIT 1",
    ]  # fmt: skip
    assert executions[0]["fingerprint"] == executions[1]["fingerprint"] != executions[2]["fingerprint"]
    assert [r.get("normalised") for r in executions[:3]] == ["SELECT $1", "SELECT $1", None]
    assert [r.get("reads") for r in executions[1:]] == [None, ["public.customers"], ["pg_catalog.pg_class"]]
    assert [r.get("about") for r in executions] == [None, None, None, "catalog"]
    [opened] = records(world, "session.opened")
    assert (opened["connection"], opened["backend_pid"]) == ("prod-replica", pid)
    for number, record in enumerate(executions, 1):
        assert record["execution"] == f"{opened['session']}/{number}"
        assert record["identity"] == f"{world.emulator.tenant}/{agent.oid}"
        assert record["policy"] == "reader"
    outcomes = {r["execution"]: r for r in records(world, "outcome")}
    assert [outcomes[r["execution"]]["rows"] for r in executions] == [1, 1, 1, 1]
    assert [outcomes[r["execution"]]["ended"] for r in executions] == ["completed"] * 4
    types = [r["type"] for r in records(world)]
    assert types.index("window.opened") < types.index("session.opened") < types.index("execution")


async def test_no_part_of_a_token_is_in_the_journal(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        await connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        await connect_psycopg(world, token[:-4] + "AAAA", "reader")
    text = journal_text(world.journal)
    for part in token.split("."):
        assert part[:40] not in text


async def test_a_large_statement_is_judged_elsewhere_and_runs(world: World) -> None:
    token = await world.token(add_reader(world))
    numbers = ", ".join(str(number) for number in range(10_000))
    assert len(numbers) > 16 * 1024
    async with await connect_psycopg(world, token, "reader") as connection:
        cursor = await connection.execute(f"SELECT count(*) FROM orders WHERE id IN ({numbers})".encode())
        assert await cursor.fetchone() == (9_999,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(f"DELETE FROM orders WHERE id IN ({numbers})".encode())
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            await connection.execute(f"SELECT '{'x' * 2_100_000}'".encode())
        cursor = await connection.execute(f"SELECT length('{'x' * 2_000_000}')".encode())
        assert await cursor.fetchone() == (2_000_000,)
        cursor = await connection.execute("SELECT length(%s)", ("x" * 2_000_000,))
        assert await cursor.fetchone() == (2_000_000,)


async def test_a_judging_process_that_is_killed_takes_no_statement_with_it(world: World) -> None:
    token = await world.token(add_reader(world))
    text = f"SELECT 1 /* {'x' * 20_000} */".encode()
    async with await connect_psycopg(world, token, "reader") as connection:
        await connection.execute(text)
        judging = [
            process
            for process in psutil.Process().children(recursive=True)
            if "pgjit.judging.worker_program" in process.cmdline()
        ]
        assert judging
        for process in judging:
            process.kill()
        await connection.execute(text)


async def test_a_pool_of_asyncpg_resets_its_connections(world: World) -> None:
    token = await world.token(add_reader(world))
    connection = await connect_asyncpg(world, token, "reader")
    try:
        await connection.fetchval("SELECT 1")
        await connection.reset()  # what a pool does with a connection that comes back
        assert await connection.fetchval("SELECT 2") == 2
    finally:
        await connection.close()
