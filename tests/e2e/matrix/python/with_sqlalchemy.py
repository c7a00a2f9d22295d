"""SQLAlchemy over the driver that is named: its dialect's first look at the server, its pool, reflection."""

from __future__ import annotations

import asyncio
import ssl
import sys

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.e2e.matrix.python.report import BYTES, NUMBERS, VALUE, check, check_async, place

__all__: list[str] = []


def simple(connection: sa.Connection) -> None:
    assert connection.exec_driver_sql("SELECT 40 + 2").scalar() == 42


def null(connection: sa.Connection) -> None:
    assert connection.execute(sa.text("SELECT CAST(:value AS text)"), {"value": None}).scalar() is None


def binary(connection: sa.Connection) -> None:
    seen = connection.execute(sa.select(sa.cast(BYTES, sa.LargeBinary))).scalar()
    assert bytes(seen or b"") == BYTES


def rows(connection: sa.Connection) -> None:
    sql = "SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i"
    assert sum(row[0] for row in connection.exec_driver_sql(sql)) == NUMBERS


def value(connection: sa.Connection) -> None:
    assert connection.exec_driver_sql("SELECT repeat('0123456789abcdef', 262144)").scalar() == VALUE


def cursor(connection: sa.Connection) -> None:
    options = {"stream_results": True, "yield_per": 500}
    asked = sa.text("SELECT i FROM generate_series(1, 5000) AS i")
    assert len(connection.execute(asked, execution_options=options).all()) == 5000


def refused(connection: sa.Connection) -> None:
    with pytest.raises(sa.exc.DBAPIError) as seen:
        connection.exec_driver_sql("DELETE FROM notes")
    assert getattr(seen.value.orig, "sqlstate", getattr(seen.value.orig, "pgcode", None)) == "42501"
    connection.rollback()


def alive(connection: sa.Connection) -> None:
    """As programs find their way: reflect a table, then ask through it."""
    orders = sa.Table("orders", sa.MetaData(), autoload_with=connection)
    assert {"id", "customer_id", "status"} <= set(orders.c.keys())
    assert sa.inspect(connection).get_table_names()
    found = connection.execute(sa.select(orders.c.id).where(orders.c.id.in_([1, 2, 3])).order_by(orders.c.id))
    assert found.scalars().all() == [1, 2, 3]


def transaction(connection: sa.Connection) -> None:
    connection.exec_driver_sql("SELECT count(*) FROM orders")
    with pytest.raises(sa.exc.DBAPIError):
        connection.exec_driver_sql("DELETE FROM notes")
    with pytest.raises(sa.exc.DBAPIError) as seen:
        connection.exec_driver_sql("SELECT 'too late'")
    assert getattr(seen.value.orig, "sqlstate", getattr(seen.value.orig, "pgcode", None)) == "25P02"
    connection.rollback()
    assert connection.exec_driver_sql("SELECT 'after'").scalar() == "after"


CHECKS = (simple, null, binary, rows, value, cursor, refused, alive, transaction)


def run_all(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        check("login", lambda: None)
        for run in CHECKS:
            check(run.__name__.replace("_", "-"), lambda run=run: run(connection))  # type: ignore[misc]
            connection.rollback()

    def pool() -> None:
        for _ in range(6):
            with engine.connect() as connection:
                assert connection.exec_driver_sql("SELECT 'from a pool'").scalar() == "from a pool"

    check("pool", pool)
    engine.dispose()


async def run_all_async(url: sa.URL, context: ssl.SSLContext) -> None:
    engine = create_async_engine(url, connect_args={"ssl": context})
    async with engine.connect() as connection:
        await check_async("login", lambda: connection.execute(sa.text("SELECT 'in'")))
        for run in CHECKS:
            await check_async(run.__name__, lambda run=run: connection.run_sync(run))  # type: ignore[misc]
            await connection.rollback()

    async def pool() -> None:
        for _ in range(6):
            async with engine.connect() as connection:
                assert await connection.scalar(sa.text("SELECT 'from a pool'")) == "from a pool"

    await check_async("pool", pool)
    await engine.dispose()


def main(driver: str) -> None:
    given = place()
    url = sa.URL.create(
        f"postgresql+{driver}", given["user"], given["password"], given["host"], int(given["port"]), given["database"]
    )
    if driver == "asyncpg":
        asyncio.run(run_all_async(url, ssl.create_default_context(cafile=given["sslrootcert"])))
    else:
        tls = {"sslmode": "verify-full", "sslrootcert": given["sslrootcert"]}
        run_all(sa.create_engine(url, connect_args=tls))


if __name__ == "__main__":
    main(sys.argv[1])
