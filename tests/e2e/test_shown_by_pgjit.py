"""`SHOW pgjit.limits`, `pgjit.allowed` and `pgjit.request` with a real server: both protocols, and a spent budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.policy.policy import Limits
from tests.e2e.clients import connect_asyncpg, connect_psycopg, psql
from tests.e2e.test_review_at_login import connect, refusal, reviewed_world, verdict
from tests.e2e.worlds import add_reader, records

LIMITS = Limits(rows=100, window_rows=10, window_statements=3)


async def test_a_session_sees_its_limits_when_they_are_spent(world: World) -> None:
    policies = world.app._config.policies
    policies["reader"] = replace(policies["reader"], limits=LIMITS)
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        await connection.execute(b"SELECT generate_series(1, 10)")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="budget of this window is spent"):
            await connection.execute(b"SELECT 1")
        for prepare in (False, True):
            cursor = await connection.execute(b"SHOW pgjit.limits", prepare=prepare)
            assert [column.name for column in cursor.description or ()] == ["pgjit.limits", "most", "left"]
            shown = {str(row[0]): row[1:] for row in await cursor.fetchall()}
            assert shown["window_rows"] == ("10", "0")
            assert shown["rows"] == ("100", "each statement")
            assert shown["sessions of your identity"] == ("20", "19")
    other = await connect_asyncpg(world, token, "reader")
    try:
        for name in ("limits", "allowed", "request"):
            assert await other.fetch(f"SHOW pgjit.{name}")
    finally:
        await other.close()
    ended = [r["ended"] for r in records(world, "outcome")]
    assert ended == ["completed", "refused", *["completed"] * 5], "each is on record"


async def test_psql_shows_what_is_allowed_in_a_terminals_width(world: World) -> None:
    said = await psql(
        world, await world.token(add_reader(world)), "reader", "\\pset format aligned", "SHOW pgjit.allowed"
    )
    assert "select" in said.out
    assert "pg_sleep" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80


async def test_the_request_names_its_approver_in_the_session(database: DemoDatabase, tmp_path: Path) -> None:
    async with reviewed_world(database, tmp_path) as (world, person):
        agent = add_reader(world)
        await refusal(world, agent, "-c pgjit.reason='it''s; a \\\\ diff'")
        await verdict(world, person, "approve", comment="fü's\\")
        async with await connect(world, agent) as connection:
            rows = await (await connection.execute("SHOW pgjit.request")).fetchall()
        shown: dict[str, str] = dict(rows)
        assert shown["state"] == "used"
        assert shown["who may approve"] == "dba-on-call"
        assert "rita" in shown["approved"]
        assert shown["approved"].endswith(": fü's\\")
