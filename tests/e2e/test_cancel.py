"""Ctrl-C of real clients: by every way in, at every moment, and never in anybody else's query."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgwire.messages.query import decode_error, encode_query
from pgwire.messages.startup import encode_cancel
from tests.e2e.worlds import add_reader, ask, open_world, records
from tests.fakes.scripted_client import ScriptedClient, trusting
from tests.run.processes import own_async
from tests.run.waiting import a_while, until, until_it_holds

CANCEL_CODE = b"\x04\xd2\x16\x2e"
SECONDS = 60
"""Enough on a busy machine, for what takes milliseconds."""
Connection = psycopg.AsyncConnection[tuple[object, ...]]

WAYS = {
    "asked for": "",
    "direct": " sslnegotiation=direct",
    "3.2": " max_protocol_version=3.2 min_protocol_version=3.2",
    "latest, direct": " max_protocol_version=latest sslnegotiation=direct",
}


@asynccontextmanager
async def connected(world: World, way: str) -> AsyncIterator[Connection]:
    token = await world.token(add_reader(world))
    conninfo = world.conninfo("reader") + WAYS[way]
    async with await psycopg.AsyncConnection.connect(conninfo, password=token, autocommit=True) as opened:
        yield opened


async def running(connection: Connection) -> asyncio.Task[object]:
    """A query that the server is busy with, as it says itself."""

    async def run() -> object:
        return await (await connection.execute("SELECT 'done' FROM pg_sleep(600)")).fetchone()

    return asyncio.create_task(run())


async def until_busy(world: World, pid: int) -> None:
    async with asyncio.timeout(60):
        active = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1"
        await until_it_holds(lambda: ask(world.database, active, pid))


SPOKEN = {
    "": 30000,
    " max_protocol_version=3.0": 30000,
    " max_protocol_version=3.2": 30002,
    " max_protocol_version=latest": 30002,
    " min_protocol_version=3.2 max_protocol_version=3.2": 30002,
}


async def test_the_protocol_that_a_client_asks_for_is_spoken(world: World) -> None:
    token = await world.token(add_reader(world))
    for asked, spoken in SPOKEN.items():
        conninfo = world.conninfo("reader") + asked
        async with await psycopg.AsyncConnection.connect(conninfo, password=token) as connection:
            assert connection.pgconn.full_protocol_version == spoken, asked
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def test_a_cancel_by_the_way_that_the_connection_came(world: World) -> None:
    for way in WAYS:
        async with connected(world, way) as connection:
            for _ in range(2):
                busy = await running(connection)
                await until_busy(world, connection.info.backend_pid)
                await connection.cancel_safe(timeout=SECONDS)
                with pytest.raises(psycopg.errors.QueryCanceled):
                    await asyncio.wait_for(busy, SECONDS)
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,), way


async def test_ctrl_c_in_psql_cancels_by_a_request_in_plain_text(world: World) -> None:
    for way in WAYS.values():
        await _ctrl_c_in_psql(world, world.conninfo("reader") + way)


async def _ctrl_c_in_psql(world: World, conninfo: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    async with own_async(
        world.psql, "-X", "-At", conninfo, stdin=asyncio.subprocess.PIPE,
        env=environment | {"PGPASSWORD": await world.token(add_reader(world)), "PGCONNECT_TIMEOUT": "60"},
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"SELECT pg_backend_pid();\nSELECT pg_sleep(600);\n")
        pid = int(await asyncio.wait_for(process.stdout.readline(), SECONDS))
        await until_busy(world, pid)
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), SECONDS)
    assert "canceling statement due to user request" in err.decode()


async def test_a_cancel_never_hits_the_query_after_it(world: World) -> None:
    """When a cancel is over the server has dealt with it, so an idle session is not harmed by any number."""
    for way in WAYS:
        async with connected(world, way) as connection:
            for number in range(25):
                await connection.cancel_safe(timeout=SECONDS)
                assert await (await connection.execute("SELECT %s::int", [number])).fetchone() == (number,)


class Between:
    """A Unix socket in front of the server's: counts the cancel requests, and holds them while told to."""

    def __init__(self, folder: Path, database: DemoDatabase) -> None:
        self._path = folder / f".s.PGSQL.{database.port}"
        self._target = database.socket_dir / f".s.PGSQL.{database.port}"
        self.cancels = 0
        self.gate = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Between:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        head = await reader.readexactly(8)
        if head[4:] == CANCEL_CODE:
            self.cancels += 1
            await self.gate.wait()
        there, thither = await asyncio.open_unix_connection(self._target)
        thither.write(head)
        await asyncio.gather(_pump(reader, thither), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def test_many_cancels_at_once_are_one_at_the_server(database: DemoDatabase, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pgjit-") as folder:
        async with Between(Path(folder), database) as between:
            (tmp_path / "secret").write_text(database.password)
            connections = {
                name: {
                    "host": folder,
                    "port": database.port,
                    "database": database.database,
                    "user": database.user,
                    "password": {"file": str(tmp_path / "secret")},
                }
                for name in ("prod-replica", "write-target")
            }
            async with (
                open_world(database, tmp_path, config={"connections": connections}) as world,
                logged_in(world) as (client, pid, secret),
            ):
                await client.send(encode_query(b"SELECT pg_sleep(600)"))
                await until_busy(world, pid)
                others = [await ScriptedClient.open(world.app.port) for _ in range(30)]
                for other in others:
                    await other.send(encode_cancel(pid, secret))
                await until(lambda: between.cancels >= 1)
                late = asyncio.create_task(others[-1].ended())
                await a_while(0.1)
                assert not late.done()  # the server has not dealt with it
                between.gate.set()
                assert await asyncio.wait_for(late, 60)
                for other in others[:-1]:
                    async with other:
                        assert await asyncio.wait_for(other.ended(), 60)
                others[-1].reset()
                kind, body = (await client.frames(until="E"))[-1]
                assert (kind, decode_error(body)["C"]) == ("E", "57014")
                await client.frames(until="Z")
                assert between.cancels == 1
                await client.send(encode_query(b"SELECT 1"))
                assert [kind for kind, _ in await client.frames(until="Z")] == ["T", "D", "C", "Z"]


@asynccontextmanager
async def logged_in(world: World, minor: int = 0) -> AsyncIterator[tuple[ScriptedClient, int, bytes]]:
    token = await world.token(add_reader(world))
    async with await ScriptedClient.open(world.app.port) as client:
        await client.start_tls(trusting(world.certificates.authority))
        names = {"user": "reader", "database": "prod-replica"}
        pid, secret = await client.log_in(names, token, minor=minor)
        yield client, pid, secret


async def sent_by(way: str, world: World, request: bytes) -> None:
    """The request is sent by a connection of its own, which is closed without an answer."""
    async with await ScriptedClient.open(world.app.port) as other:
        if way != "plain":
            await other.start_tls(trusting(world.certificates.authority), direct=way == "direct TLS")
        await other.send(request)
        assert await asyncio.wait_for(other.ended(), SECONDS)


async def test_a_key_that_was_not_issued_is_ignored_without_a_word(world: World) -> None:
    for minor, length in ((0, 4), (2, 32)):
        async with logged_in(world, minor) as (client, pid, secret):
            assert len(secret) == length
            await client.send(encode_query(b"SELECT 'done' FROM pg_sleep(600)"))
            await until_busy(world, pid)
            for way in ("plain", "TLS", "direct TLS"):
                for wrong in (
                    encode_cancel(pid + 1, secret),
                    encode_cancel(pid, bytes(byte ^ 1 for byte in secret)),
                    encode_cancel(pid, secret * 2),
                    encode_cancel(pid, (secret * 2)[:5]),
                ):
                    await sent_by(way, world, wrong)
            active = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1"
            assert await ask(world.database, active, pid)
            await sent_by("plain", world, encode_cancel(pid, secret))
            assert "E" in [kind for kind, _ in await client.frames(until="Z")]
        [outcome] = records(world, "outcome")[-1:]
        assert outcome["sqlstate"] == "57014"
    assert records(world, "login.refused") == []


async def test_a_cancel_of_the_right_key_by_every_way_in(world: World) -> None:
    for minor in (0, 2):
        async with logged_in(world, minor) as (client, pid, secret):
            for way in ("plain", "TLS", "direct TLS"):
                await client.send(encode_query(b"SELECT pg_sleep(600)"))
                await until_busy(world, pid)
                await sent_by(way, world, encode_cancel(pid, secret))
                assert "E" in [kind for kind, _ in await client.frames(until="Z")]
