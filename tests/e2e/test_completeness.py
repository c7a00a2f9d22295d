"""The journal is complete: it has the same executions as the server's own log, none missing and none twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.random_clients import KINDS, Client, Tally
from tests.e2e.random_statements import Statements
from tests.e2e.same_executions import different_executions, different_plans, different_rows, sessions
from tests.e2e.server_log import logging_all
from tests.e2e.servers import serve_prepared
from tests.e2e.worlds import add_writer, change, open_world, records

_ONCE = "CREATE TABLE once (tag text UNIQUE DEFERRABLE INITIALLY DEFERRED)"


@asynccontextmanager
async def unique_tags(database: DemoDatabase) -> AsyncIterator[None]:
    """With a table whose constraint is checked when a transaction ends."""
    await change(database, f"{_ONCE}; GRANT SELECT, INSERT ON once TO {database.writer}")
    try:
        yield
    finally:
        await change(database, "DROP TABLE once")


async def work(database: DemoDatabase, folder: Path, seed: int, times: int) -> Counter[str]:
    """All kinds of clients at the same time. Returns what was compared: executions, and those with a plan."""
    statements, tally = Statements(seed), Tally()
    async with unique_tags(database), logging_all(database) as log:
        async with open_world(database, folder) as world:
            client = Client(world, await world.token(add_writer(world)), statements, tally)
            async with asyncio.TaskGroup() as group:
                for kind in KINDS:
                    group.create_task(kind(client, times))
        recorded = records(world)
        journal, logged = sessions(recorded), log.backends()
    assert different_executions(journal, logged) == []
    assert different_rows(journal, tally.rows) == []
    planned, different = different_plans(journal, logged)
    assert different == []
    # No session was ended by pgjit.
    assert {each["reason"] for each in recorded if each["type"] == "session.ended"} <= {"client", "client-gone"}
    assert tally.failed > 0
    return Counter(executions=sum(len(session.executions) for session in journal.values()), planned=planned)


async def test_the_journal_has_the_executions_of_the_servers_log(database: DemoDatabase, tmp_path: Path) -> None:
    assert (await work(database, tmp_path, seed=1, times=8))["executions"] > 150


@pytest.fixture(scope="module")
def explaining_database() -> Iterator[DemoDatabase]:
    """An installed server where there is one: it comes with auto_explain."""

    async def as_it_is(database: DemoDatabase) -> None: ...

    with serve_prepared("pgjit-ce-", as_it_is) as served:
        yield served


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_thousands_of_executions_are_on_record(explaining_database: DemoDatabase, tmp_path: Path) -> None:
    compared = Counter[str]()
    for seed in range(2, 7):
        folder = tmp_path / str(seed)
        folder.mkdir()
        compared += await work(explaining_database, folder, seed, times=100)
    assert compared["executions"] > 10_000
    if (explaining_database.bin_path.parent / "lib" / "auto_explain.so").exists():
        assert compared["planned"] > 5_000
