"""asyncpg: it prepares everything, speaks binary, reads types from the catalog, and resets what a pool keeps."""

from __future__ import annotations

import asyncio
import io
import ssl

import asyncpg
import pytest

from tests.e2e.matrix.python.report import BYTES, NUMBERS, VALUE, check_async, place

__all__: list[str] = []


async def simple(connection: asyncpg.Connection) -> None:
    assert await connection.execute("SELECT 40 + 2") == "SELECT 1"


async def prepared(connection: asyncpg.Connection) -> None:
    statement = await connection.prepare("SELECT $1::int + $2::int")
    for number in range(3):
        assert await statement.fetchval(number, 2) == number + 2


async def null(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SELECT $1::text", None) is None


async def binary(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SELECT $1::bytea", BYTES) == BYTES
    # A type of the database's own: the driver looks it up in the catalog.
    assert await connection.fetchval("SELECT array_agg(DISTINCT status) @> '{paid}' FROM orders") is True


async def rows(connection: asyncpg.Connection) -> None:
    found = await connection.fetch("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i")
    assert sum(row["i"] for row in found) == NUMBERS


async def cursor(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        sql = "SELECT i FROM generate_series(1, 5000) AS i"
        assert len([row async for row in connection.cursor(sql, prefetch=500)]) == 5000


async def value(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SELECT repeat('0123456789abcdef', 262144)") == VALUE


async def copy_out(connection: asyncpg.Connection) -> None:
    wanted = await connection.fetchval("SELECT count(*) FROM order_lines")
    got = io.BytesIO()
    assert await connection.copy_from_query("SELECT * FROM order_lines", output=got) == f"COPY {wanted}"
    assert got.getvalue().count(b"\n") == wanted


async def refused(connection: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as seen:
        await connection.execute("DELETE FROM notes")
    assert seen.value.sqlstate == "42501"


async def alive(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SELECT 'alive'") == "alive"


async def transaction(connection: asyncpg.Connection) -> None:
    work = connection.transaction()
    await work.start()
    await connection.fetchval("SELECT count(*) FROM orders")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("DELETE FROM notes")
    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await connection.fetchval("SELECT 'too late'")
    await work.rollback()
    assert await connection.fetchval("SELECT 'after'") == "after"


async def cancel(connection: asyncpg.Connection) -> None:
    with pytest.raises(asyncio.TimeoutError):  # the driver cancels on the server, and waits for that
        await connection.fetchval("SELECT pg_sleep(60)", timeout=0.5)


async def pool() -> None:
    given = place()
    async with asyncpg.create_pool(
        host=given["host"], port=given["port"], user=given["user"], password=given["password"],
        database=given["database"], ssl=_context(), min_size=2, max_size=2,
    ) as kept:  # fmt: skip
        for _ in range(6):
            async with kept.acquire() as connection:
                assert await connection.fetchval("SELECT 'from a pool'") == "from a pool"


def _context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=place()["sslrootcert"])


async def main() -> None:
    given = place()
    connection = await asyncpg.connect(
        host=given["host"], port=given["port"], user=given["user"], password=given["password"],
        database=given["database"], ssl=_context(),
    )  # fmt: skip
    await check_async("login", lambda: connection.fetchval("SELECT 'in'"))
    for run in (simple, prepared, null, binary, rows, cursor, value, copy_out, refused, alive, transaction, cancel):
        await check_async(run.__name__.replace("_", "-"), lambda run=run: run(connection))  # type: ignore[misc]
    await connection.close()
    await check_async("pool", pool)


if __name__ == "__main__":
    asyncio.run(main())
