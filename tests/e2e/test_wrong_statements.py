"""Wrong statements get the server's own SQLSTATE, and a hint that helps; what hints give as a rewrite runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from psycopg import pq

from pgjit.demo.database import DemoDatabase
from pgjit.judging.judge import assess
from pgjit.policy.dialects import rewrites
from tests.e2e.battery import write_policy
from tests.e2e.everyday import FIXTURES, direct_conninfo
from tests.e2e.loose import Line
from tests.e2e.worlds import add_reader, open_world
from tests.fixtures.terms import policy_of
from tests.sql.snapshots import read_snapshot

ROW = """(SELECT 7 AS a, 2 AS b, 'x,y' AS s, 'y' AS p, timestamptz '2026-01-02 03:04+00' AS t, date '2026-03-04' AS d,
    jsonb '{"k": 1}' AS j) AS r"""


def wrong() -> list[tuple[str, str]]:
    lines = (FIXTURES / "wrong.txt").read_text("utf-8").splitlines()
    found = [line.split("|", 1) for line in lines if not line.startswith("#")]
    return [(hint, sql) for hint, sql in found]


def fields(results: list[pq.abc.PGresult]) -> dict[str, str]:
    """SQLSTATE and hint of the first error."""
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            told = {"sqlstate": pq.DiagnosticField.SQLSTATE, "hint": pq.DiagnosticField.MESSAGE_HINT}
            return {name: (result.error_field(which) or b"").decode() for name, which in told.items()}
    return {}


def test_the_error_is_the_servers_own_and_its_hint_says_what_to_write(contrib_database: DemoDatabase) -> None:
    known = asyncio.run(read_snapshot(contrib_database.superuser_dsn, "public"))
    direct = Line(direct_conninfo(contrib_database))
    faults = []
    for hint, sql in wrong():
        own = fields(direct.simple(sql))
        refused = assess(policy_of(), sql.encode(), 10_000, known).violations
        first = (refused[0].sqlstate, refused[0].hint) if refused else None
        if not own or first is None or first[0] != own["sqlstate"] or hint not in str(first[1]):
            faults.append((sql, first, own))
    direct.close()
    assert not faults, "\n".join(map(str, faults))
    assert len(wrong()) >= 90


async def test_a_client_reads_it(contrib_database: DemoDatabase, tmp_path: Path) -> None:
    async with open_world(contrib_database, tmp_path, policies=write_policy(tmp_path)) as world:
        line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
        for hint, sql in wrong()[::25]:
            through = fields(await asyncio.to_thread(line.simple, sql))
            assert hint in through["hint"], sql
        line.close()


@pytest.mark.parametrize("sort", ["columns", "functions", "operators"])
def test_each_rewrite_of_an_expression_runs(contrib_database: DemoDatabase, sort: str) -> None:
    with psycopg.connect(contrib_database.superuser_dsn, autocommit=True) as connection:
        for name, how in rewrites()[sort].items():
            try:
                connection.execute((how if how.startswith("SELECT") else f"SELECT {how} FROM {ROW}").encode())
            except psycopg.Error as fault:
                pytest.fail(f"{name}: {how}: {fault}")


@pytest.mark.parametrize("sort", ["relations", "settings", "syntax"])
def test_each_rewrite_of_a_statement_runs(contrib_database: DemoDatabase, sort: str) -> None:
    with psycopg.connect(contrib_database.superuser_dsn, autocommit=True) as connection:
        for name, how in rewrites()[sort].items():
            try:
                connection.execute(how.encode())
            except psycopg.Error as fault:
                pytest.fail(f"{name}: {how}: {fault}")


def test_each_type_that_is_given_instead_is_one(contrib_database: DemoDatabase) -> None:
    with psycopg.connect(contrib_database.superuser_dsn, autocommit=True) as connection:
        for how in rewrites()["types"].values():
            connection.execute(f"SELECT CAST(NULL AS {how})".encode())
