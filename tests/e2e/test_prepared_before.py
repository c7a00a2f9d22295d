"""What was prepared before the server's objects changed is judged again when it runs: by what is there by then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from psycopg import pq

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.loose import POLICY, Line, refusal
from tests.e2e.worlds import add_reader, ask, change, open_world, records

_MADE = """
    CREATE SCHEMA before;
    CREATE VIEW before.seen AS SELECT id, name AS shown FROM customers;
    CREATE VIEW before.plain AS SELECT id, name AS shown FROM customers;
    GRANT USAGE ON SCHEMA before TO pgjit_agent;
    GRANT SELECT ON ALL TABLES IN SCHEMA before TO pgjit_agent;
"""
_DENIED = "CREATE OR REPLACE VIEW before.seen AS SELECT id, email AS shown FROM customers"
_CALLING = """
    CREATE FUNCTION before.told(text) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        AS $$ BEGIN RAISE NOTICE 'called'; RETURN $1; END $$;
    CREATE OR REPLACE VIEW before.seen AS SELECT id, before.told(name) AS shown FROM customers
"""
_POLICY = POLICY + "  deny:\n    - columns: [customers.email]\n"
_LONG = f" /* {'x ' * 4_000} */"  # judged in another process


@pytest.fixture
async def before(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    policies = tmp_path / "before"
    policies.mkdir()
    (policies / "reader.yaml").write_text(_POLICY)
    await change(database, _MADE)
    try:
        async with open_world(database, tmp_path, policies=policies) as served:
            yield served
    finally:
        await ask(database, "DROP SCHEMA before CASCADE")


def _prepare(line: Line, view: str, comment: str) -> None:
    """The same question in each way."""
    question = f"SELECT shown FROM before.{view} ORDER BY id LIMIT 1{comment}"
    for name, sql in (
        (f"{view}_p", question),
        (f"{view}_e", f"EXECUTE {view}_s"),
        (f"{view}_d", f"DECLARE c CURSOR WITH HOLD FOR {question}"),
    ):
        assert refusal(line.prepare_named(name, sql)) is None
    for sql in (f"PREPARE {view}_s AS {question}", f"PREPARE {view}_t AS SELECT 1"):
        assert refusal(line.simple(sql)) is None


def _runs(line: Line, view: str) -> dict[str, str]:
    """By each way, the rule that refused it or `ran`."""
    told = {
        "protocol": line.run_named(f"{view}_p"),
        "sql": line.simple(f"EXECUTE {view}_s"),
        "beside": line.simple(f"EXECUTE {view}_t; EXECUTE {view}_s"),
        "through": line.run_named(f"{view}_e"),
        "explain": line.simple(f"EXPLAIN ANALYZE EXECUTE {view}_s"),
        "cursor": line.run_named(f"{view}_d"),
    }
    line.simple("CLOSE ALL")
    return {way: refused[1] if (refused := refusal(results)) else "ran" for way, results in told.items()}


def _ways(what: str) -> dict[str, str]:
    return dict.fromkeys(("protocol", "sql", "beside", "through", "explain", "cursor"), what)


@pytest.mark.parametrize("comment", ["", _LONG], ids=["short", "long"])
@pytest.mark.parametrize(
    ("became", "rule"), [(_DENIED, "pgjit:denied"), (_CALLING, "pgjit:function-call")], ids=["denied", "calling"]
)
async def test_what_was_prepared_before_is_judged_by_the_catalog_of_now(
    before: World, became: str, rule: str, comment: str
) -> None:
    line = await asyncio.to_thread(Line.through, before, await before.token(add_reader(before)))
    try:
        for view in ("seen", "plain"):
            await asyncio.to_thread(_prepare, line, view, comment)
            assert await asyncio.to_thread(_runs, line, view) == _ways("ran")
        await change(before.database, became)
        await asyncio.to_thread(line.simple, "SELECT * FROM before.nothing")  # makes it look
        recorded = len(records(before, "execution"))
        assert await asyncio.to_thread(_runs, line, "seen") == _ways(rule)
        assert await asyncio.to_thread(_runs, line, "plain") == _ways("ran")
    finally:
        await asyncio.to_thread(line.close)
    decisions = [record["decision"] for record in records(before, "execution")[recorded:]]
    assert decisions.count("deny") == len(_ways("")) + 1  # the message of two statements has two records


async def test_a_statement_that_still_may_runs_and_is_judged_again_once(before: World) -> None:
    line = await asyncio.to_thread(Line.through, before, await before.token(add_reader(before)))
    try:
        await asyncio.to_thread(_prepare, line, "plain", "")
        await change(before.database, _DENIED)
        await asyncio.to_thread(line.simple, "SELECT * FROM before.nothing")
        for _ in range(3):
            assert refusal(await asyncio.to_thread(line.run_named, "plain_p")) is None
        await change(before.database, "DROP VIEW before.plain")
        assert _state(await asyncio.to_thread(line.run_named, "plain_p")) == "42P01"
        await asyncio.to_thread(line.simple, "SELECT * FROM before.nothing")
        assert _state(await asyncio.to_thread(line.run_named, "plain_p")) == "42P01"
    finally:
        await asyncio.to_thread(line.close)


def _state(results: list[pq.abc.PGresult]) -> str:
    return (results[0].error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
