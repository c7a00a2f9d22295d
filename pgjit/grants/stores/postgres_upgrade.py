"""What `pgjit store` does with a PostgreSQL store: upgrade its schema, or check whether a node could use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from pgjit.grants.stores.database import unavailable
from pgjit.grants.stores.postgres_database import FAILURES, new_engine
from pgjit.grants.stores.postgres_login import PostgresLogin
from pgjit.grants.stores.postgres_schema import check_schema, locked_upgrade, upgrade_running
from pgjit.grants.stores.schema_versions import schema_version
from pgjit.grants.stores.store_state import StoreState
from pgjit.grants.stores.where_to_look import look_at_server

__all__ = ["check_store", "upgrade_store"]


async def check_store(login: PostgresLogin) -> StoreState:
    """Raises ServerUnavailable with what keeps a node from using the store."""

    def work(connection: sa.Connection) -> StoreState:
        check_schema(connection, str(login))
        return _state(connection, login, [])

    async with _engine(login) as engine, engine.begin() as connection:
        return await connection.run_sync(work)


async def upgrade_store(
    login: PostgresLogin, waiting: Callable[[], None], *, only_create: bool = False
) -> StoreState:
    """Bring the schema up to date. `waiting` is called if another process does so now. Raises ServerUnavailable.

    `only_create`: a schema that is there already is only checked.
    """

    def work(connection: sa.Connection) -> StoreState:
        made = locked_upgrade(connection, str(login), only_create=only_create)
        check_schema(connection, str(login))
        return _state(connection, login, made)

    async with _engine(login) as engine:
        async with engine.begin() as connection:
            if await connection.run_sync(upgrade_running):
                waiting()
        async with engine.begin() as connection:
            return await connection.run_sync(work)


def _state(connection: sa.Connection, login: PostgresLogin, made: list[str]) -> StoreState:
    server = str(connection.execute(sa.text("SHOW server_version")).scalar_one())
    return StoreState(
        kind="postgres", name=str(login), schema=schema_version(connection), server=server, made=tuple(made)
    )


@asynccontextmanager
async def _engine(login: PostgresLogin) -> AsyncIterator[AsyncEngine]:
    # A migration may take long. Each statement sees what the upgrade before it has done: it may have waited for it.
    engine = new_engine(login, statement_seconds=0, isolation="READ COMMITTED")
    try:
        yield engine
    except FAILURES as error:
        raise unavailable(error, look_at_server(error)) from error
    finally:
        await engine.dispose()
