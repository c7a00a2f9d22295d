"""What is on record of a row is what made it: random conversations about names, through a relay to a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.judging.judge import Judge
from pgjit.policy.policy import Preset
from tests.e2e.name_sequences import Author
from tests.e2e.name_spaces import Exchange, Place, Wire, compare, constants, misrecorded
from tests.e2e.test_holes import log_in
from tests.e2e.test_what_ran import breaker
from tests.e2e.worlds import change, records
from tests.fakes.policies import policy
from tests.fakes.scripted_client import ReceivedFrame, ScriptedClient

ENCODINGS = ("UTF8", "LATIN1")


@pytest.fixture(params=ENCODINGS)
async def place(request: pytest.FixtureRequest, database: DemoDatabase) -> AsyncIterator[Place]:
    encoding, name = str(request.param), f"names_{str(request.param).lower()}"
    async with administrator(database, database.database) as admin:
        await admin.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        async with administrator(database, name) as inside:
            await inside.execute("CREATE UNLOGGED TABLE kept (value text)")
        yield Place(f"{database.socket_dir}/.s.PGSQL.{database.port}", name, encoding)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def administrator(database: DemoDatabase, name: str) -> AsyncIterator[asyncpg.Connection]:
    """Closed in any case, and no call waits for a server that is gone."""
    connection = await asyncpg.connect(
        host=str(database.socket_dir), port=database.port, user="postgres", database=name, command_timeout=60
    )
    try:
        yield connection
    finally:
        connection.terminate()


async def play(database: DemoDatabase, place: Place, seeds: range, *, full: bool) -> dict[str, int]:
    """Every conversation of `seeds`; what was seen in all, so that a test can tell that it was not little."""
    preset = Preset.FULL if full else Preset.READ_WRITE
    judge = Judge(policy(preset=preset), limit=100_000)
    wire = Wire(place, judge, unrestricted=full)
    seen = dict.fromkeys(("rows", "named", "through", "refused", "unresolved"), 0)
    async with administrator(database, place.database) as kept:
        for seed in seeds:
            messages = Author(seed, full=full).conversation()
            sent = "\n".join(repr(message) for message in messages)
            try:
                through, wrong = await converse(wire, kept, messages)
            except TimeoutError as silent:
                silent.add_note(f"seed {seed}, full={full}, {place.encoding}:\n{sent}")
                raise
            assert not wrong, f"seed {seed}, full={full}, {place.encoding}:\n{wrong}\n{sent}"
            executions = through.executions
            seen["rows"] += len(through.rows)
            seen["named"] += sum(1 for run, _ in through.rows if executions[run].prepared_as)
            seen["through"] += sum(1 for run, _ in through.rows if executions[run].through)
            seen["refused"] += sum(1 for event in executions.values() if event.decision == "deny")
            seen["unresolved"] += sum(1 for event in executions.values() if event.unresolved)
    return seen


async def converse(wire: Wire, kept: asyncpg.Connection, messages: list[bytes]) -> tuple[Exchange, list[str]]:
    """Through the relay and, where the server survives that, straight to it; and what differs."""
    through = wire.through(messages)
    written = [row[0] for row in await kept.fetch("DELETE FROM kept RETURNING value")]
    wrong = misrecorded(through, written)
    if not wrong and not through.breaks_server:
        wrong = compare(wire.direct(messages), through)
        await kept.execute("DELETE FROM kept")
    return through, wrong


@pytest.mark.parametrize("full", [False, True], ids=["read-write", "full"])
async def test_what_is_on_record_of_a_row_is_what_made_it(database: DemoDatabase, place: Place, full: bool) -> None:
    seen = await play(database, place, range(40), full=full)
    assert seen["rows"] > 50
    assert seen["through"] > 10


@pytest.mark.parametrize("full", [False, True], ids=["read-write", "full"])
async def test_the_whole_proxy_has_on_record_what_made_each_row(world: World, full: bool) -> None:
    await change(world.database, "CREATE TABLE IF NOT EXISTS kept (value text); GRANT ALL ON kept TO PUBLIC")
    opened = breaker if full else writer
    seen = 0
    for seed in range(6):
        since = len(records(world))
        client = await opened(world)
        async with client:
            await client.send(b"".join(Author(seed, full=full).conversation()))
            heard = await ended(client)
        rows = [body for kind, body in heard if kind in "Dd"]
        ran = [record for record in records(world)[since:] if record["type"] == "execution"]
        recorded = [(r["statement"], r.get("parameters")) for r in ran if r["decision"] == "allow"]
        on_record = constants(json.dumps(recorded).encode())
        made = set[str]().union(*map(constants, rows))
        assert made <= on_record, f"seed {seed}"
        seen += len(made)
    assert seen > 3
    await change(world.database, "DROP TABLE kept")


async def writer(world: World) -> ScriptedClient:
    return await log_in(world, "writer", "write-target")


async def ended(client: ScriptedClient) -> list[ReceivedFrame]:
    heard: list[ReceivedFrame] = []
    async with asyncio.timeout(60):
        while not any(kind == "D" and body.endswith(b"end") for kind, body in heard):
            more = await client.frames(until="Z")
            heard += more
            if not more or more[-1][0] != "Z":
                break  # the server ended the session
    return heard


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("full", [False, True], ids=["read-write", "full"])
async def test_ten_thousand_conversations_about_names(database: DemoDatabase, place: Place, full: bool) -> None:
    seen = await play(database, place, range(1000, 3500), full=full)
    assert seen["rows"] > 3000
    assert seen["through"] > 600
