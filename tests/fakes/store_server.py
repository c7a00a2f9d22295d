"""A window store on a test's PostgreSQL server, and the ways to trouble it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import psycopg.conninfo

from pgjit.demo.database import DemoDatabase
from pgjit.grants.stores.postgres_database import TURN_LOCK, PostgresDatabase
from pgjit.grants.stores.postgres_login import PostgresLogin, connect
from pgjit.grants.stores.postgres_schema import UPGRADE_LOCK
from pgjit.grants.stores.postgres_upgrade import upgrade_store
from pgjit.grants.stores.schema import metadata
from pgjit.grants.stores.sql import SqlStore

__all__ = ["StoreServer"]

_NAME = "pgjit_store"


class StoreServer:
    def __init__(self, database: DemoDatabase) -> None:
        self._demo = database

    def login(self, database: str = _NAME, user: str = "postgres") -> PostgresLogin:
        place = (str(self._demo.socket_dir), self._demo.port)
        return PostgresLogin(hosts=(place,), database=database, user=user)

    def url(self, database: str = _NAME) -> str:
        """As in the configuration."""
        return f"postgresql://postgres@/{database}?host={self._demo.socket_dir}&port={self._demo.port}"

    @property
    def agent_password(self) -> str:
        return self._demo.password

    def agent_login(self) -> PostgresLogin:
        """The login of a role that has a password, and no right to anything in the store."""

        async def secret() -> str:
            return self.agent_password

        return replace(self.login(user=self._demo.user), secret=secret)

    def store(self, node: str = "one") -> SqlStore:
        """A store object on the database: a node of its own."""
        return SqlStore(PostgresDatabase(self.login()), node=node)

    async def make(self) -> None:
        self.execute(f"CREATE DATABASE {_NAME}", database="postgres")
        await upgrade_store(self.login(), lambda: None)

    def empty(self) -> None:
        self.execute(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")

    def execute(self, sql: str, database: str = _NAME) -> list[tuple[Any, ...]]:
        """Run statements as the superuser; the rows of the last one."""
        place = psycopg.conninfo.make_conninfo(
            host=str(self._demo.socket_dir), port=self._demo.port, user="postgres", dbname=database
        )
        with psycopg.connect(place, autocommit=True) as direct:
            done = direct.execute(sql.encode())
            return done.fetchall() if done.description else []

    @asynccontextmanager
    async def upgrade_lock(self, database: str) -> AsyncIterator[None]:
        """As if another process upgraded the store of that database."""
        connection = await connect(self.login(database))
        try:
            await connection.execute(f"SELECT pg_advisory_lock({UPGRADE_LOCK})")
            yield
        finally:
            await connection.close()

    @asynccontextmanager
    async def turn_taken(self) -> AsyncIterator[None]:
        """As if another node were in a transaction."""
        connection = await connect(self.login())
        try:
            await connection.execute(f"SELECT pg_advisory_lock({TURN_LOCK})")
            yield
        finally:
            await connection.close()

    def end_connections(self) -> int:
        """End every connection of the stores; returns how many there were."""
        ended = self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'pgjit store'"
        )
        return len(ended)

    def refuse_connections(self) -> None:
        """Whoever is connected is disconnected, and nobody connects."""
        self.execute(f"ALTER DATABASE {_NAME} ALLOW_CONNECTIONS false", database="postgres")
        self.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{_NAME}'",
            database="postgres",
        )

    def accept_connections(self) -> None:
        self.execute(f"ALTER DATABASE {_NAME} ALLOW_CONNECTIONS true", database="postgres")
