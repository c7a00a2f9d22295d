"""psycopg 3 on asyncio, through the same checks as its synchronous half."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from tests.e2e.matrix.python.report import BYTES, NUMBERS, VALUE, check_async

__all__: list[str] = []

Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def one(connection: Connection, sql: str, *arguments: object) -> object:
    row = await (await connection.execute(sql.encode(), arguments or None)).fetchone()
    assert row is not None
    return row[0]


async def simple(connection: Connection) -> None:
    assert await one(connection, "SELECT 40 + 2") == 42


async def prepared(connection: Connection) -> None:
    for number in range(3):
        found = await connection.execute("SELECT %s::int + %s::int", (number, 2), prepare=True)
        assert await found.fetchone() == (number + 2,)


async def null(connection: Connection) -> None:
    assert await one(connection, "SELECT %s::text", None) is None


async def binary(connection: Connection) -> None:
    found = await connection.execute("SELECT %b::bytea, %b::int8", (BYTES, 7), binary=True)
    assert await found.fetchone() == (BYTES, 7)


async def rows(connection: Connection) -> None:
    found = await connection.execute("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i")
    assert sum([int(str(row[0])) async for row in found]) == NUMBERS


async def cursor(connection: Connection) -> None:
    async with connection.transaction(), connection.cursor("of_the_server") as named:
        await named.execute("SELECT i FROM generate_series(1, 5000) AS i")
        assert len(await named.fetchmany(500)) == 500
        assert len(await named.fetchall()) == 4500


async def value(connection: Connection) -> None:
    assert await one(connection, "SELECT repeat('0123456789abcdef', 262144)") == VALUE


async def copy_out(connection: Connection) -> None:
    wanted = await one(connection, "SELECT count(*) FROM order_lines")
    async with connection.cursor().copy("COPY (SELECT * FROM order_lines) TO STDOUT") as copy:
        assert len([row async for row in copy.rows()]) == wanted


async def refused(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await connection.execute("DELETE FROM notes")


async def alive(connection: Connection) -> None:
    assert await one(connection, "SELECT 'alive'") == "alive"


async def transaction(connection: Connection) -> None:
    await connection.execute("BEGIN")
    await connection.execute("SELECT count(*) FROM orders")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await connection.execute("DELETE FROM notes")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        await connection.execute("SELECT 'too late'")
    await connection.execute("ROLLBACK")
    assert await one(connection, "SELECT 'after'") == "after"


async def cancel(connection: Connection) -> None:
    running = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
    while not (await asyncio.wait([running], timeout=0.2))[0]:
        # The first request may come before the statement does: it cancels nothing then.
        await connection.cancel_safe()
    with pytest.raises(psycopg.errors.QueryCanceled):
        await running


async def pipeline(connection: Connection) -> None:
    async with connection.pipeline():
        asked = [await connection.execute("SELECT %s::int * 2", (number,)) for number in range(20)]
        assert [await query.fetchone() for query in asked] == [(number * 2,) for number in range(20)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):  # noqa: PT012 - where it is raised is psycopg's
        async with connection.pipeline() as pipe:
            first = await connection.execute("SELECT 'first'")
            await pipe.sync()
            await connection.execute("DELETE FROM notes")
            await connection.execute("SELECT 'passed over'")
            await pipe.sync()
    assert await first.fetchone() == ("first",)


async def main() -> None:
    async with await psycopg.AsyncConnection.connect(autocommit=True) as connection:
        await check_async("login", lambda: one(connection, "SELECT 'in'"))
        for run in (
            simple,
            prepared,
            null,
            binary,
            rows,
            cursor,
            value,
            copy_out,
            refused,
            alive,
            transaction,
            cancel,
        ):
            await check_async(run.__name__.replace("_", "-"), lambda run=run: run(connection))  # type: ignore[misc]
        await check_async("pipeline", lambda: pipeline(connection))


if __name__ == "__main__":
    asyncio.run(main())
