"""A real server that is killed, stopped at once and started again under sessions; clients that vanish from it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgwire.messages.extended import sync
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, add_writer, ask, open_world, records
from tests.fakes.both_ends import bind, execute, parse, query
from tests.fakes.scripted_client import ScriptedClient, trusting
from tests.run.waiting import until, until_it_holds

ALIVE = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"


@pytest.fixture(scope="module")
def own() -> Iterator[DemoDatabase]:
    """A server that tests may kill, and leave running."""
    folder = Path(tempfile.mkdtemp(prefix="pgjit-dies-"))
    served = DemoDatabase()
    served.start(folder)
    yield served
    served.stop()
    shutil.rmtree(folder, ignore_errors=True)


async def ended(world: World, count: int) -> list[dict[str, object]]:
    async with asyncio.timeout(60):
        await until(lambda: len(records(world, "session.ended")) >= count)
    return records(world, "session.ended")


async def reconnected(world: World, token: str) -> list[str]:
    """A session again, as soon as the server takes one; how it was refused until then."""
    refused: list[str] = []

    async def answered() -> bool:
        try:
            connection = await connect_psycopg(world, token, "reader")
        except psycopg.OperationalError as fault:
            refused.append(str(fault))
            return False
        async with connection:
            return await (await connection.execute("SELECT 1")).fetchone() == (1,)

    await until_it_holds(answered)
    return refused


async def test_a_backend_that_is_killed_ends_its_sessions_and_the_next_ones_come_back(
    own: DemoDatabase, tmp_path: Path
) -> None:
    """kill -9 of one backend makes the server end all of them, and recover."""
    async with open_world(own, tmp_path) as world:
        token = await world.token(add_reader(world))
        idle = await connect_psycopg(world, token, "reader")
        busy = await connect_psycopg(world, token, "reader")
        running = asyncio.create_task(busy.execute("SELECT count(*), pg_sleep(600) FROM generate_series(1, 10)"))
        await until(lambda: records(world, "execution"))
        os.kill(busy.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError, match="closed the connection"):
            async with asyncio.timeout(60):
                await running
        with pytest.raises(psycopg.OperationalError):
            async with asyncio.timeout(60):
                await idle.execute("SELECT 1")
        for refusal in await reconnected(world, token):
            assert "57P03" in refusal or "cannot be used now" in refusal or "database system" in refusal
        for connection in (idle, busy):
            await connection.close()
        found = await ended(world, 3)
        assert [one["reason"] for one in found].count("server") == 2
        outcomes = {one["execution"]: one["ended"] for one in records(world, "outcome")}
        assert outcomes[records(world, "execution")[0]["execution"]] == "cut"
        assert all(
            isinstance(one["proof"], dict) and one["proof"]["gone"] for one in found if one["reason"] == "server"
        )


async def test_a_server_that_is_stopped_at_once_and_started_again(own: DemoDatabase, tmp_path: Path) -> None:
    async with open_world(own, tmp_path) as world:
        token = await world.token(add_reader(world))
        connection = await connect_psycopg(world, token, "reader")
        running = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
        await until(lambda: records(world, "execution"))
        await _control(own, "stop", "-m", "immediate")
        with pytest.raises(psycopg.OperationalError):
            async with asyncio.timeout(60):  # whether or not the server comes back
                await running
        await connection.close()
        with pytest.raises(psycopg.OperationalError, match="cannot be used now"):
            await connect_psycopg(world, token, "reader")
        await _control(own, "start", "-l", str(own.log))
        await reconnected(world, token)
        found = await ended(world, 2)
        assert sorted(str(one["reason"]) for one in found) == ["client", "server"]


async def _control(database: DemoDatabase, *command: str) -> None:
    """pg_ctl, as the account that the server runs as: the folder's owner."""
    data = database.log.parent
    owner = data.stat()

    def run() -> None:
        root = os.getuid() == 0
        subprocess.run(
            [str(database.bin_path / "pg_ctl"), "-w", "-D", str(data), *command, *_options(command, data)],
            check=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=owner.st_uid if root else None,
            group=owner.st_gid if root else None,
        )

    await asyncio.to_thread(run)


_STARTED_WITH: dict[Path, str] = {}


def _options(command: tuple[str, ...], data: Path) -> list[str]:
    """To start it as it was started: what was asked of it then is in a file of its own."""
    options = data / "postmaster.opts"
    if command[0] == "stop":
        _STARTED_WITH[data] = options.read_text().split(" ", 1)[1].strip()
        return []
    return ["-o", _STARTED_WITH[data].replace('"', "'")]


async def _in_transaction(client: ScriptedClient, insert: str) -> None:
    await client.send(query("BEGIN"))
    await client.frames("Z")
    await client.send(query(insert))
    await client.frames("Z")
    await client.send(query(f"{insert} RETURNING pg_sleep(600)"))


async def _pipeline(client: ScriptedClient, insert: str) -> None:
    """A hundred statements that each commit on their own, behind one that takes its time."""
    await client.send(parse("SELECT pg_sleep(600)") + bind() + execute() + sync())
    await client.send((parse(insert) + bind() + execute() + sync()) * 100)


async def _half(client: ScriptedClient, insert: str) -> None:
    await client.send(query(f"{insert}; SELECT pg_sleep(600); {insert}"))


async def _copying(client: ScriptedClient, insert: str) -> None:
    text = insert.split("'")[1]
    await client.send(query("COPY notes (note) FROM STDIN"))
    await client.frames("G")
    await client.send(b"d" + (4 + len(text) + 1).to_bytes(4, "big") + text.encode() + b"\n")


MOMENTS = {
    "in a transaction": _in_transaction,
    "pipeline": _pipeline,
    "in one message": _half,
    "copying": _copying,
}


@pytest.mark.parametrize("leave", ["close", "reset", "goodbye"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_client_that_leaves_has_committed_nothing_more(
    moment: str, leave: str, database: DemoDatabase, world: World
) -> None:
    note = f"gone: {moment} {leave}"
    token = await world.token(add_writer(world))
    async with await ScriptedClient.open(world.app.port) as client:
        await client.start_tls(trusting(world.certificates.authority))
        pid, _ = await client.log_in({"user": "writer", "database": "write-target"}, token)
        await MOMENTS[moment](client, f"INSERT INTO {database.writable} (note) VALUES ('{note}')")
        running = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active'"
        async with asyncio.timeout(60):
            await until_it_holds(lambda: ask(database, running, pid))
        if leave == "reset":
            client.reset()
        elif leave == "goodbye":
            await client.send(b"X\0\0\0\4")
            await client.frames()
    [end] = await ended(world, 1)
    assert isinstance(end["proof"], dict)
    assert end["proof"]["gone"]
    assert await ask(database, ALIVE, pid) == 0
    assert await ask(database, f"SELECT count(*) FROM {database.writable} WHERE note = $1", note) == 0
    executions = [record["execution"] for record in records(world, "execution")]
    assert sorted(map(str, executions)) == sorted(str(record["execution"]) for record in records(world, "outcome"))
