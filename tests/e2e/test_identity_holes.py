"""Ways to more access than was granted that once were open: windows, places, roles."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.attacked import Ahead
from tests.e2e.clients import connect_psycopg, psql
from tests.e2e.entra_worlds import GROUP, OID, graph_world, policy_text
from tests.e2e.worlds import add_member, add_reader, open_world, records
from tests.fakes.entra import OTHER_TENANT, TENANT, StandIn
from tests.run.waiting import a_while, until


async def test_a_ttl_that_was_cut_ends_a_session_of_a_window_from_before_the_restart(
    database: DemoDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy's ttl was twenty minutes when the window opened and is ten after the restart."""
    clock = Ahead()
    monkeypatch.setattr("pgjit.app.application.Clock", lambda: clock)
    async with StandIn() as entra:
        token = entra.token(OID, GROUP)
        async with graph_world(database, tmp_path, entra, policy_text(ttl="20m")) as world:
            assert (await psql(world, token, "reader", "SELECT 1")).out == "1\n"
        async with graph_world(database, tmp_path, entra, policy_text(ttl="10m")) as world:
            connection = await connect_psycopg(world, token, "reader")
            clock.add(timedelta(minutes=10))
            ended = await until(lambda: records(world, "session.ended")[1:])
            # The server's own belt (idle_session_timeout) would end it later, for another reason and without proof.
            assert ended[0]["reason"] == "ttl", ended[0]["detail"]
            await until(lambda: records(world, "window.ended"))
            await connection.close()


async def test_at_most_so_many_sessions_under_a_policy_also_when_they_log_in_at_once(
    database: DemoDatabase, tmp_path: Path
) -> None:
    async with open_world(database, tmp_path) as world:
        token = await world.token(add_member(world, "44444444-4444-4444-8444-444444444444"))
        said = await asyncio.gather(
            *(connect_psycopg(world, token, "limited") for _ in range(10)), return_exceptions=True
        )
        inside = [each for each in said if isinstance(each, psycopg.AsyncConnection)]
        for each in inside:
            await each.execute("SELECT 1")
        count = len(inside)
        for each in inside:
            await each.close()
        assert count == 2  # limits.sessions


@pytest.mark.parametrize(
    ("role", "inside", "outside"),
    [("Database.Read", TENANT, OTHER_TENANT), (f"{OTHER_TENANT}/Database.Read", OTHER_TENANT, TENANT)],
)
async def test_a_role_of_one_tenant_opens_no_policy_to_another_tenant(
    database: DemoDatabase, tmp_path: Path, role: str, inside: str, outside: str
) -> None:
    """Whoever administers a tenant gives out roles there, and calls them as they like."""
    async with (
        StandIn(TENANT, OTHER_TENANT) as entra,
        graph_world(database, tmp_path, entra, policy_text(whom=f"role: {role}")) as world,
    ):
        names = ["Database.Read", role, f"{inside}/Database.Read"]
        refused = await psql(world, entra.token(OID, tenant=outside, roles=names), "reader", "SELECT 1")
        assert "no policy" in refused.err
        assert not records(world, "window.opened")
        opened = await psql(world, entra.token(OID, tenant=inside, roles=names), "reader", "SELECT 1")
        assert opened.out == "1\n", opened.err


async def test_a_login_that_no_server_takes_does_not_use_the_window_up(
    database: DemoDatabase, tmp_path: Path
) -> None:
    nowhere = {"host": "127.0.0.1", "port": 1, "database": "x", "user": "x", "sslmode": "disable"}
    secret = tmp_path / "s"
    secret.write_text("x")
    config = {
        "connections": {n: {**nowhere, "password": {"file": str(secret)}} for n in ("prod-replica", "write-target")}
    }
    async with open_world(database, tmp_path, ttl={"reader": timedelta(seconds=2)}, config=config) as world:
        token = await world.token(add_reader(world))
        first = await psql(world, token, "reader", "SELECT 1")
        await a_while(2.5)
        second = await psql(world, token, "reader", "SELECT 1")
        assert "cannot be used now" in first.err
        assert "cannot be used now" in second.err
        assert [r["type"] for r in records(world)] == ["service.started", "login.refused", "login.refused"]
