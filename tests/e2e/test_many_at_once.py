"""Two hundred sessions of one window end together, each with a statement that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.grants.server_process import ProcessSighting
from pgjit.server.control_connection import ControlConnection
from pgjit.server.control_queries import SignalRequest
from tests.e2e.attacked import Ahead, control_server, serve_attacked
from tests.e2e.clients import connect_psycopg
from tests.e2e.test_ways_of_ending import WAYS
from tests.e2e.worlds import add_writer, ask, change, open_world, records
from tests.run.waiting import until, until_it_holds

MANY = 200
LIMITS = {
    "connections_per_address": 2 * MANY, "sessions_per_identity": 2 * MANY, "catalog_seconds": 60,
    "handshake_seconds": 120,
}  # fmt: skip
Connection = psycopg.AsyncConnection[tuple[object, ...]]


@pytest.fixture
def roomy_database() -> Iterator[DemoDatabase]:
    """A server with a place for each of them."""
    with serve_attacked() as database:
        asyncio.run(change(database, f"ALTER SYSTEM SET max_connections = {MANY + 50}"))
        asyncio.run(change(database, f"ALTER ROLE {database.writer} CONNECTION LIMIT -1"))
        control_server(database, "-m", "fast", "restart")
        yield database


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests each query of a control connection had."""
    sizes: list[int] = []
    signal = ControlConnection.signal

    async def counted(
        connection: ControlConnection, requests: Sequence[SignalRequest]
    ) -> list[tuple[ProcessSighting, bool]]:
        sizes.append(len(requests))
        return await signal(connection, requests)

    monkeypatch.setattr(ControlConnection, "signal", counted)
    return sizes


async def _sleeping(world: World, token: str) -> Connection:
    connection = await connect_psycopg(world, token, "writer", "write-target")
    connection.pgconn.send_query(b"SELECT pg_sleep(600)")
    return connection


@pytest.mark.usefixtures("answered_cancels")
@pytest.mark.parametrize("way", ["revoked", *(pytest.param(way, marks=pytest.mark.slow) for way in WAYS)])
async def test_two_hundred_sessions_end_together(
    way: str, roomy_database: DemoDatabase, tmp_path: Path, queries: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Ahead()
    monkeypatch.setattr("pgjit.app.application.Clock", lambda: clock)
    async with open_world(roomy_database, tmp_path, config={"limits": LIMITS}) as world:
        token = await world.token(add_writer(world))
        connections: list[Connection] = []
        for _ in range(MANY // 20):
            connections += await asyncio.gather(*(_sleeping(world, token) for _ in range(20)))
        pids = [connection.info.backend_pid for connection in connections]
        active = f"SELECT count(*) >= {MANY} FROM pg_stat_activity WHERE pid = ANY($1) AND state = 'active'"
        await until_it_holds(lambda: ask(roomy_database, active, pids))
        del queries[:]
        await WAYS[way](world, clock)
        await until(lambda: len(records(world, "session.ended")) == MANY)
        alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)"
        assert await ask(roomy_database, alive, pids) == 0
        for connection in connections:
            await connection.close()
    took = _took(records(world, "session.ended"), way)
    print(f"{way}: {MANY} backends gone after {took[MANY // 2]} ms (median), {took[-1]} ms (the last)")
    # Single queries would be at least three for each session: cancel, terminate, look. Kills come one by one.
    if way != "killed":
        assert max(queries) > MANY // 4
        assert len(queries) < MANY


def _took(ended: Sequence[dict[str, object]], way: str) -> list[int]:
    """The time to stop of each, which is on record with its proof."""
    took = []
    for record in ended:
        proof = record["proof"]
        assert isinstance(proof, dict)
        assert (record["reason"], proof["gone"], proof["by"], proof["cancel_sent"]) == (way, True, "look", True)
        took.append(int(proof["took_ms"]))
    return sorted(took)
