"""Worlds for tests: the demo's own parts, with policies for reading and for writing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import asyncpg

from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import AppCredentials
from pgjit.demo.world import World
from tests.audit.schema_check import assert_valid
from tests.run.journal_text import journal_lines

__all__ = [
    "BREAKERS", "READERS", "WRITERS", "Record", "add_breaker", "add_member", "add_reader", "add_writer", "ask",
    "change",
    "open_world", "records",
]  # fmt: skip

READERS = "11111111-1111-4111-8111-111111111111"
WRITERS = "22222222-2222-4222-8222-222222222222"
BREAKERS = "33333333-3333-4333-8333-333333333333"
POLICIES = Path(__file__).parents[1] / "fixtures" / "policies"

Record = dict[str, object]


def open_world(
    database: DemoDatabase,
    folder: Path,
    *,
    ttl: Mapping[str, timedelta] | None = None,
    config: Mapping[str, object] | None = None,
    kind: type[World] = World,
    policies: Path = POLICIES,
) -> World:
    secrets = {}
    for name, secret in (("reader", database.password), ("writer", database.writer_password)):
        secrets[name] = folder / f"{name}-secret"
        secrets[name].write_text(secret)
    place = {"host": str(database.socket_dir), "port": database.port, "database": database.database}
    connections = {
        "prod-replica": {**place, "user": database.user, "password": {"file": str(secrets["reader"])}},
        "write-target": {**place, "user": database.writer, "password": {"file": str(secrets["writer"])}},
    }
    return kind(
        folder=folder,
        database=database,
        policies=policies,
        ttl=ttl,
        config={"connections": connections, **(config or {})},
    )


def add_member(world: World, group: str) -> AppCredentials:
    return world.emulator.add_app(f"one of {group[:8]}", groups=[group])


def add_reader(world: World) -> AppCredentials:
    return world.emulator.add_app("a reader", groups=[READERS])


def add_writer(world: World) -> AppCredentials:
    return world.emulator.add_app("a writer", groups=[WRITERS])


def add_breaker(world: World) -> AppCredentials:
    """An app in the group that the policy with `access: full` is for."""
    return world.emulator.add_app("a breaker of the glass", groups=[BREAKERS])


def records(world: World, kind: str | None = None) -> list[Record]:
    """The journal's records, all or of one type. Each has the published shape.

    Outcomes wait some milliseconds for another write: those that do are written first.
    """
    journal = getattr(world.app, "_journal", None)
    if journal is not None:
        journal.write_enqueued()
    lines = [json.loads(line) for line in journal_lines(world.journal)]
    found = [line for line in lines if kind is None or line["type"] == kind]
    for each in found:
        assert_valid(each)
    return found


async def ask(database: DemoDatabase, sql: str, *arguments: object) -> object:
    """Ask the database itself, past the proxy, as its administrator."""
    connection = await asyncpg.connect(
        host=str(database.socket_dir), port=database.port, user="postgres", database=database.database
    )
    try:
        return await connection.fetchval(sql, *arguments)
    finally:
        await connection.close()


async def change(database: DemoDatabase, sql: str) -> None:
    """Run statements on the database itself, past the proxy, as its administrator."""
    connection = await asyncpg.connect(
        host=str(database.socket_dir), port=database.port, user="postgres", database=database.database
    )
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
