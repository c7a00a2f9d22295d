"""Each client against pgjit: what it can do, what it is told, and what the journal has of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest
from _pytest.mark.structures import ParameterSet

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import libpq_environment
from tests.e2e.matrix.clients import PROGRAMS, PYTHON, Client
from tests.e2e.servers import NAMES, serve
from tests.e2e.worlds import Record, add_reader, open_world, records

ROOT = Path(__file__).parents[3]
DEFAULT = "embedded-18"
SECONDS = 90

# What the journal has to have of a check, as often as the client runs it: the statement, its rows, and whether it
# ended well. A client that asks for one row of one leaves the portal suspended: that is well, too.
RECORDED = {
    "simple": [("SELECT 40 + 2", 1, True)],
    "rows": [("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i", 20_000, True)],
    "value": [("SELECT repeat('0123456789abcdef', 262144)", 1, True)],
    "transaction": [("SELECT 'after'", 1, True)],
    "cancel": [("SELECT pg_sleep(60)", 0, False)],
}


class Servers:
    """Each server is started when it is first asked for, and serves all tests that follow."""

    def __init__(self) -> None:
        # A short path of our own: a Unix socket's path has a limit, and the server's account must get there.
        self._folder = Path(tempfile.mkdtemp(prefix="pgjit-mx-"))
        self._folder.chmod(0o755)
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._started: dict[str, DemoDatabase] = {}

    def __getitem__(self, name: str) -> DemoDatabase:
        if name not in self._started:
            self._started[name] = self._stack.enter_context(serve(name, self._folder))
        return self._started[name]

    def stop(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    started = Servers()
    yield started
    started.stop()


# The suite tries these against one server; `make test-drivers` tries all of them against each.
SMOKE = ("psql-18", "psycopg", "asyncpg")


def _marked(client: Client) -> ParameterSet:
    marks = [pytest.mark.foreign] if client.foreign else [] if client.name in SMOKE else [pytest.mark.drivers]
    return pytest.param(client, marks=marks, id=str(client))


@pytest.mark.timeout(700)  # a first build of a client fetches its packages
@pytest.mark.parametrize("client", [_marked(client) for client in (*PROGRAMS, *PYTHON)])
async def test_a_client_does_all_that_it_can_do_and_every_execution_is_recorded(
    client: Client, servers: Servers, tmp_path: Path
) -> None:
    await _see(client, servers[DEFAULT], tmp_path)


@pytest.mark.drivers
@pytest.mark.parametrize("client", PYTHON, ids=str)
@pytest.mark.parametrize("server", [name for name in NAMES if name != DEFAULT])
async def test_the_same_holds_against_every_server(
    client: Client, server: str, servers: Servers, tmp_path: Path
) -> None:
    await _see(client, servers[server], tmp_path)


async def _see(client: Client, database: DemoDatabase, folder: Path) -> None:
    programs = folder / "programs"
    programs.mkdir()
    command = await asyncio.to_thread(client.command, programs)
    before = await _content(database)
    world = open_world(database, folder)
    async with world:
        token = await world.token(add_reader(world))
        said = await _run(world, token, command)
    checks = {str(line["check"]): line for line in said}
    assert [line for line in said if not line["ok"]] == []
    assert set(checks) == set(client.checks)
    assert await _content(database) == before
    _see_the_journal(client, records(world))


async def _run(world: World, token: str, command: list[str]) -> list[Record]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=given | libpq_environment(world, "reader", token=token) | {"PGCONNECT_TIMEOUT": "15"},
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, (out.decode()[-3000:], err.decode()[-3000:])
    return [json.loads(line) for line in out.splitlines()]


async def _content(database: DemoDatabase) -> dict[str, object]:
    """Every table's rows, and every relation and routine that there is."""
    connection = await asyncpg.connect(
        host=str(database.socket_dir), port=database.port, user="postgres", database=database.database
    )
    try:
        tables = await connection.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200")
        found: dict[str, object] = {
            name: await connection.fetchval(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} AS t")
            for (name,) in tables
        }
        for catalog in ("pg_class", "pg_proc", "pg_roles", "pg_largeobject_metadata", "pg_db_role_setting"):
            found[catalog] = await connection.fetchval(f"SELECT count(*) FROM {catalog}")
        return found
    finally:
        await connection.close()


def _see_the_journal(client: Client, journal: list[Record]) -> None:
    """One decision before, one outcome after, for all that ran; and the sessions that opened are over."""
    executions = {str(r["execution"]): r for r in journal if r["type"] == "execution"}
    outcomes = [r for r in journal if r["type"] == "outcome"]
    assert Counter(str(r["execution"]) for r in outcomes) == Counter(executions.keys())
    seen = Counter(
        (_text(executions[str(r["execution"])]), r["rows"], r["ended"] in {"completed", "suspended"})
        for r in outcomes
    )
    for check in client.checks:
        for expected in RECORDED.get(check, ()):
            assert seen[expected] == client.times, (expected, seen)
    refused = {str(r["execution"]): r for r in executions.values() if r["decision"] == "deny"}
    # What follows a refusal in the same batch is refused as well, but the server passes over it.
    assert {r["ended"] for r in outcomes if r["execution"] in refused} <= {"refused", "skipped"}
    assert {r["execution"] for r in outcomes if r["ended"] == "refused"} <= set(refused)
    statements = {_text(r) for r in refused.values()}
    assert statements == {client.refused} if client.refused else statements
    types = Counter(str(r["type"]) for r in journal)
    assert types["session.opened"] == types["session.ended"]


def _text(execution: Record) -> str:
    return str(execution["statement"]).rstrip("; \n").removesuffix(" AS value").removesuffix(" AS it")
