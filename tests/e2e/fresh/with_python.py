"""A program: two connections of one pool, each with a token of its own. The argument names the client.

Prints what `SHOW pgjit.policy` says on each. The pools ask for a token as docs/clients.md shows it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from typing import Any

QUESTION = "SHOW pgjit.policy"


def token() -> str:
    return subprocess.run(
        [sys.executable, "-m", "pgjit", "token"], check=True, capture_output=True, text=True
    ).stdout.strip()


def context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])


def with_psycopg_pool() -> None:
    from psycopg_pool import ConnectionPool

    with (
        ConnectionPool(kwargs=lambda: {"password": token()}, min_size=2, max_size=2) as pool,
        pool.connection() as one,
        pool.connection() as other,
    ):
        for connection in (one, other):
            print(connection.execute(QUESTION).fetchone()[0])  # type: ignore[index]


async def with_asyncpg() -> None:
    import asyncpg

    async def fresh() -> str:
        return await asyncio.to_thread(token)

    async with (
        asyncpg.create_pool(password=fresh, ssl=context(), min_size=2, max_size=2) as pool,
        pool.acquire() as one,
        pool.acquire() as other,
    ):
        for connection in (one, other):
            print(await connection.fetchval(QUESTION))


def with_sqlalchemy() -> None:
    from sqlalchemy import create_engine, event, text

    engine = create_engine("postgresql+psycopg://", pool_size=2)

    @event.listens_for(engine, "do_connect")
    def fresh(dialect: object, record: object, arguments: object, parameters: dict[str, Any]) -> None:
        parameters["password"] = token()

    with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            print(connection.execute(text(QUESTION)).scalar())
    engine.dispose()


async def with_sqlalchemy_asyncpg() -> None:
    from sqlalchemy import event, text
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine("postgresql+asyncpg://", pool_size=2, connect_args={"ssl": context()})

    @event.listens_for(engine.sync_engine, "do_connect")
    def fresh(dialect: object, record: object, arguments: object, parameters: dict[str, Any]) -> None:
        parameters["password"] = token

    async with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            print((await connection.execute(text(QUESTION))).scalar())
    await engine.dispose()


if __name__ == "__main__":
    match sys.argv[1]:
        case "psycopg_pool":
            with_psycopg_pool()
        case "asyncpg":
            asyncio.run(with_asyncpg())
        case "sqlalchemy":
            with_sqlalchemy()
        case "sqlalchemy-asyncpg":
            asyncio.run(with_sqlalchemy_asyncpg())
