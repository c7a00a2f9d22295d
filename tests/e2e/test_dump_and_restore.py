"""PostgreSQL's own programs, where nothing is refused: they load, run, dump and restore."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgjit.demo.client import write_program
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.scratch import SCRATCH, environment, open_scratch, serve_scratch
from tests.e2e.worlds import records


@pytest.fixture(scope="module")
def scratch() -> Iterator[DemoDatabase]:
    with serve_scratch() as served:
        yield served


class Programs:
    def __init__(self, world: World, place: dict[str, str]) -> None:
        self._world = world
        self._place = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | place

    async def run(self, program: str, *arguments: str | Path) -> str:
        command = write_program(self._world.folder, self._world.database.bin_path / program)
        if command is None:
            pytest.skip("psycopg brings no libpq with TLS here")
        process = await asyncio.create_subprocess_exec(
            command, *map(str, arguments), env=self._place, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, err.decode()[-2000:]
        return out.decode().strip()

    async def content(self) -> str:
        """What a restore has to bring back of pgbench's tables."""
        sql = "SELECT count(*), sum(aid), sum(abalance) FROM pgbench_accounts"
        return await self.run(
            "psql", "-X", "-At", "-c", sql, "-c", "SELECT count(*), sum(delta) FROM pgbench_history"
        )


async def test_pgbench_writes_and_what_pg_dump_took_is_restored(scratch: DemoDatabase, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    async with open_scratch(scratch, tmp_path) as world:
        programs = Programs(world, await environment(world))
        await programs.run("pgbench", "-i", "-q")
        for mode in ("simple", "extended", "prepared"):
            said = await programs.run("pgbench", "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "25")
            assert "number of failed transactions: 0 " in said
        before = await programs.content()
        await programs.run("pg_dump", "--format=directory", "--jobs=2", "-f", dump)
        await programs.run("psql", "-X", "-c", "TRUNCATE pgbench_accounts, pgbench_history")
        assert await programs.content() != before
        await programs.run("pg_restore", "--clean", "--jobs=2", "-d", SCRATCH, dump)
        assert await programs.content() == before
    executions = records(world, "execution")
    assert {r["decision"] for r in executions} == {"allow"}
    outcomes = records(world, "outcome")
    assert Counter(r["execution"] for r in outcomes) == Counter(r["execution"] for r in executions)
    assert {r["ended"] for r in outcomes} == {"completed"}
    updates = [r for r in executions if str(r["statement"]).startswith("UPDATE pgbench_accounts")]
    assert len(updates) == 3 * 4 * 25
