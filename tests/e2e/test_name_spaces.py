"""What is on record of a row is what made it: random conversations about names, through a relay to a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.policy.policy import Access
from pgjit.proxy.judge import Judge
from tests.e2e.name_sequences import Author
from tests.e2e.name_spaces import Place, Wire, compare, misrecorded
from tests.fakes.policies import policy

ENCODINGS = ("UTF8", "LATIN1")


@pytest.fixture(params=ENCODINGS)
async def place(request: pytest.FixtureRequest, database: DemoDatabase) -> AsyncIterator[Place]:
    encoding, name = str(request.param), f"names_{str(request.param).lower()}"
    admin = await asyncpg.connect(database.superuser_dsn)
    await admin.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    inside = await asyncpg.connect(host=str(database.socket_dir), port=database.port, user="postgres", database=name)
    await inside.execute("CREATE UNLOGGED TABLE kept (value text)")
    await inside.close()
    yield Place(f"{database.socket_dir}/.s.PGSQL.{database.port}", name, encoding)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def play(database: DemoDatabase, place: Place, seeds: range, *, full: bool) -> dict[str, int]:
    """Every conversation of `seeds`; what was seen in all, so that a test can tell that it was not little."""
    preset = Access.FULL if full else Access.READ_WRITE
    judge = Judge(policy(preset=preset), limit=100_000)
    wire = Wire(place, judge, unrestricted=full)
    kept = await asyncpg.connect(
        host=str(database.socket_dir), port=database.port, user="postgres", database=place.database
    )
    seen = dict.fromkeys(("rows", "named", "through", "refused", "unresolved"), 0)
    for seed in seeds:
        messages = Author(seed, full=full).conversation()
        through = wire.through(messages)
        written = [row[0] for row in await kept.fetch("DELETE FROM kept RETURNING value")]
        wrong = misrecorded(through, written)
        if not wrong and not through.endless:
            wrong = compare(wire.direct(messages), through)
            await kept.execute("DELETE FROM kept")
        told = "\n".join(repr(message) for message in messages)
        assert not wrong, f"seed {seed}, full={full}, {place.encoding}:\n{wrong}\n{told}"
        executions = through.executions
        seen["rows"] += len(through.rows)
        seen["named"] += sum(1 for run, _ in through.rows if executions[run].prepared_as)
        seen["through"] += sum(1 for run, _ in through.rows if executions[run].through)
        seen["refused"] += sum(1 for event in executions.values() if event.decision == "deny")
        seen["unresolved"] += sum(1 for event in executions.values() if event.unresolved)
    await kept.close()
    return seen


@pytest.mark.parametrize("full", [False, True], ids=["read-write", "full"])
async def test_what_is_on_record_of_a_row_is_what_made_it(database: DemoDatabase, place: Place, full: bool) -> None:
    seen = await play(database, place, range(75), full=full)
    assert seen["rows"] > 100
    assert seen["through"] > 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("full", [False, True], ids=["read-write", "full"])
async def test_ten_thousand_conversations_about_names(database: DemoDatabase, place: Place, full: bool) -> None:
    seen = await play(database, place, range(1000, 3500), full=full)
    assert seen["rows"] > 3000
    assert seen["through"] > 600
