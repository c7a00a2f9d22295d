"""Under read-only, where the login role may write, no cast or check of the database runs that nobody wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, ask, open_world, records
from tests.sql.casting import CALLING, NEWER, QUIET, QUIET_NEWER, SCHEMA

CASTING = "casts_e2e"
OWN = ("measured", "~==", "::coded", "::span")
"""What a policy has to name whatever it leads to: functions, operators and row types of the database's own."""


@pytest.fixture
async def casting(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    place = {"host": str(database.socket_dir), "port": database.port, "database": CASTING}
    # Each with a password of its own: YAML would write the second one as an alias.
    config = {
        "connections": {
            name: {**place, "user": database.writer, "password": {"file": str(tmp_path / "writer-secret")}}
            for name in ("prod-replica", "write-target")
        }
    }
    await ask(database, f"CREATE DATABASE {CASTING} ENCODING 'UTF8' TEMPLATE template0")
    try:
        await _fill(database)
        async with open_world(database, tmp_path, config=config) as world:
            yield world
    finally:
        await ask(database, f"DROP DATABASE {CASTING} WITH (FORCE)")


async def _fill(database: DemoDatabase) -> None:
    dsn = database.superuser_dsn.replace(f"/{database.database}?", f"/{CASTING}?")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(SCHEMA.encode())
        await connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {database.writer}".encode())


async def test_what_would_call_is_refused_and_calls_nothing(casting: World) -> None:
    token = await casting.token(add_reader(casting))
    ran = []
    async with await connect_psycopg(casting, token, "reader", "prod-replica") as connection:
        told: list[str] = []
        connection.add_notice_handler(lambda diagnostic: told.append(diagnostic.message_primary or ""))
        for sql in [*CALLING, *NEWER]:
            try:
                await connection.execute(sql.encode())
            except psycopg.Error as refused:
                if refused.sqlstate != "42501":
                    ran.append((sql, str(refused)))
            else:
                ran.append((sql, "it ran"))
        assert (ran, told) == ([], [])
    assert {record["decision"] for record in records(casting, "execution")} == {"deny"}


async def test_what_calls_nothing_runs(casting: World) -> None:
    token = await casting.token(add_reader(casting))
    refused = []
    async with await connect_psycopg(casting, token, "reader", "prod-replica") as connection:
        for sql in [*QUIET, *QUIET_NEWER]:
            if not any(word in sql for word in OWN):
                try:
                    await connection.execute(sql.encode())
                except psycopg.Error as fault:
                    refused.append((sql, str(fault)))
    assert not refused
