"""Two nodes on one PostgreSQL store: one window for both, one budget, and what one ends is ended on the other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from httpx_sse import aconnect_sse

from pgjit.app import App
from pgjit.clock import Clock
from pgjit.config import load_config
from pgjit.demo.database import DemoDatabase
from pgjit.errors import ServerUnavailable
from pgjit.grants.actor import Actor
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.identity.identity import IdentityKey
from tests.e2e.fleets import BUDGET, BYTES, ROWS, fleet
from tests.e2e.test_http_api import ADMINS, add_person, client, token_of
from tests.e2e.worlds import Record, add_reader
from tests.fakes.store_server import StoreServer
from tests.run.waiting import until, until_it_holds

ADMIN = Actor(key=IdentityKey("t", "o"), display="ann", via="api")


async def ended(connection: psycopg.AsyncConnection) -> str:
    """The error with which the session ended."""
    with pytest.raises(psycopg.OperationalError) as caught:
        await connection.execute("SELECT pg_sleep(600)")
    return str(caught.value)


def delay(ordered: Record, after: Record) -> timedelta:
    return datetime.fromisoformat(str(after["time"])) - datetime.fromisoformat(str(ordered["time"]))


async def works(connection: psycopg.AsyncConnection) -> bool:
    try:
        await connection.execute("SELECT 1")
    except psycopg.errors.ProgramLimitExceeded:
        return False
    return True


async def ready(node: App) -> dict[str, Any]:
    async with httpx.AsyncClient() as probe:
        body: dict[str, Any] = (await probe.get(f"http://127.0.0.1:{node.admin_port}/readyz")).json()
    return body


async def test_one_window_is_opened_and_what_one_node_ends_the_other_ends(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    async with fleet(database, tmp_path, store_server) as both:
        world, (one, two) = both.world, both.nodes
        for order in ("revoke", "lock"):
            agent = add_reader(world)
            here, there = await asyncio.gather(both.connect(one, agent), both.connect(two, agent))
            opened = both.records("window.opened")
            assert len(opened) == (1 if order == "revoke" else 2), "the race opened one window"
            window: Any = opened[-1]["window"] if order == "lock" else opened[0]["window"]
            sessions: list[Any] = both.records("session.opened")[-2:]
            assert {each["window"]["ends_at"] for each in sessions} <= {each["window"]["ends_at"] for each in opened}  # type: ignore[index]
            running = [asyncio.create_task(ended(each)) for each in (here, there)]
            async with asyncio.timeout(60):
                await until(lambda: all(not session.idle for app in both.nodes for session in app.registry))
            if order == "revoke":
                await one._revocations.revoke(Scope(ScopeKind.WINDOW, window["id"]), "too broad", ADMIN)
            else:
                await two._revocations.lock(Scope(ScopeKind.POLICY, "reader"), "incident", ADMIN)
            async with asyncio.timeout(60):
                first, second = await asyncio.gather(*running)
            words = "was revoked" if order == "revoke" else "was locked"
            assert words in first
            assert words in second
            async with asyncio.timeout(60):
                await until(lambda: len(both.records("window.ended")) == len(both.records("window.opened")))
            kind = "window.revoked" if order == "revoke" else "lock.set"
            async with asyncio.timeout(60):
                await until(lambda kind=kind: bool(both.records(kind)))  # type: ignore[misc]
            ends = [both.records("session.ended", node)[-1] for node in both.nodes]
            delays = [delay(both.records(kind)[0], each) for each in ends]
            assert all(each < timedelta(seconds=30) for each in delays), "a second, on a machine that is not busy"
            print(f"{order}: the nodes ended their sessions after", *delays)
            for node in both.nodes:
                with pytest.raises(psycopg.OperationalError, match=r"revoked|locked"):
                    await both.connect(node, agent)
            for each in (here, there):
                await each.close()
        assert [each["ended"] for each in both.records("outcome")] == ["failed"] * 4


async def test_a_reader_of_events_learns_that_another_node_has_changed_something(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    async with fleet(database, tmp_path, store_server, api={"roles": {"admin": ADMINS}}) as both:
        world, (_, two) = both.world, both.nodes
        token = token_of(world, add_person(world, "ann"))
        async with client(world, token) as api, aconnect_sse(api, "GET", "events") as source:
            events = source.aiter_sse()
            assert (await anext(events)).retry == 3000
            following = asyncio.create_task(anext(events))
            await two._revocations.lock(Scope(ScopeKind.POLICY, "writer"), "astray", ADMIN)
            event = await asyncio.wait_for(following, 60)
            assert (event.event, event.data) == ("changed", "{}")


async def test_a_budget_and_the_sessions_are_shared(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    async with fleet(database, tmp_path, store_server) as both:
        agent, (one, two) = add_reader(both.world), both.nodes
        opened = [await both.connect(node, agent) for node in (one, one, two)]
        with pytest.raises(psycopg.OperationalError, match="too many sessions under this policy"):
            await both.connect(two, agent)

        async def both_seen() -> set[tuple[str, str]]:
            found = {(each.id, each.node) for each in await two._store.sessions_elsewhere()}
            return found if len(found) == 2 else set()

        assert await until_it_holds(both_seen) == {(view.id, "one") for view in one.registry.latest_views(100)}
        await opened[1].close()

        async def fourth() -> list[psycopg.AsyncConnection]:
            try:
                return [await both.connect(two, agent)]
            except psycopg.OperationalError:
                return []

        await (await until_it_holds(fourth))[0].close()
        ran = 0
        for _ in range(BUDGET):
            ran += sum([await works(each) for each in (opened[0], opened[2])])
        assert ran == BUDGET
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match=f"up to {BUDGET} in a window"):
            await opened[0].execute("SELECT 1")
        for each in opened:
            await each.close()


ENDED = ("completed", "limited")
SPENDING = [
    ("SELECT n FROM generate_series(1, 40) AS n", ROWS, "rows"),
    ("SELECT repeat('x', 6000)", BYTES, "bytes"),
    ("SELECT 1", BUDGET, "statements"),
]


async def test_nodes_that_spend_a_budget_at_once_spend_it_once(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    async def spend(connection: psycopg.AsyncConnection, sql: str) -> str:
        for _ in range(BUDGET + 1):
            try:
                await connection.execute(sql.encode())
            except psycopg.errors.ProgramLimitExceeded as error:
                return str(error)
        return "no end"

    async with fleet(database, tmp_path, store_server) as both:
        for sql, budget, unit in SPENDING:
            agent, before = add_reader(both.world), [len(both.records("outcome", node)) for node in both.nodes]
            opened = [await both.connect(node, agent) for node in both.nodes]
            errors = await asyncio.gather(*(spend(each, sql) for each in opened))
            assert all("budget of this window is spent" in each or f"of {budget} {unit}" in each for each in errors)
            for each in opened:
                await each.close()
            spent = [
                [int(str(one.get(unit, 1))) for one in both.records("outcome", node)[past:] if one["ended"] in ENDED]
                for node, past in zip(both.nodes, before, strict=True)
            ]
            assert all(len(each) > 5 for each in spent), "both have spent of it"
            # What the last message needed more than was free is left: less than one result of each node.
            assert budget * 0.9 < sum(map(sum, spent)) <= budget


async def test_a_store_that_is_lost_stops_openings_and_ends_sessions_of_a_strict_node(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    async with fleet(database, tmp_path, store_server, strict=True) as both:
        agent, (one, two) = add_reader(both.world), both.nodes
        here, there = await both.connect(one, agent), await both.connect(two, agent)
        store_server.execute("ALTER DATABASE pgjit_store ALLOW_CONNECTIONS false", database="postgres")
        try:
            ending = asyncio.create_task(ended(there))
            store_server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'pgjit_store'",
                database="postgres",
            )
            async with asyncio.timeout(60):
                assert "has lost its window store" in await ending
                assert await works(here), "a node that is not strict lets its windows go on"
                await until(lambda: not one._store.usable)
            assert (await ready(one))["checks"]["store"] is False
            with pytest.raises(psycopg.OperationalError, match="window store cannot be used"):
                await both.connect(one, add_reader(both.world))
        finally:
            store_server.execute("ALTER DATABASE pgjit_store ALLOW_CONNECTIONS true", database="postgres")
        async with asyncio.timeout(60):
            await until(lambda: one._store.usable and two._store.usable and not two._node.stale)
        again = await both.connect(two, agent)
        assert await works(again)
        [session] = [each for each in both.records("session.ended", two) if each["reason"] == "store-stale"]
        assert session["proof"]
        assert len(both.records("window.opened")) == 1, "the window went on"
        for each in (here, there, again):
            await each.close()


async def test_the_shorter_policy_wins_whatever_the_clock_of_a_node(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    late = Clock(wall=lambda: datetime.now(UTC) - timedelta(minutes=10))
    async with fleet(database, tmp_path, store_server, ttl_there="8s", clock_there=late) as both:
        agent, (one, two) = add_reader(both.world), both.nodes
        here, there = await both.connect(one, agent), await both.connect(two, agent)
        first, second = await asyncio.wait_for(asyncio.gather(ended(here), ended(there)), 90)
        for error in (first, second):
            assert "is over" in error
        async with asyncio.timeout(60):
            await until(lambda: bool(both.records("window.ended")))
        [window] = both.records("window.ended")
        opened: Any = both.records("window.opened")[0]["window"]
        length = datetime.fromisoformat(str(window["time"])) - datetime.fromisoformat(opened["opened_at"])
        assert timedelta(seconds=7) < length < timedelta(minutes=5), "not the other clock's ten minutes"
        async with asyncio.timeout(60):
            await until(lambda: all(both.records("policy.differs", node) for node in (one, two)))
        twin = App(await asyncio.to_thread(load_config, tmp_path / "there.yaml"))
        with pytest.raises(ServerUnavailable, match="window store cannot be used") as caught:
            await twin.__aenter__()
        assert caught.value.reference == "node-name-in-use"
        for each in (here, there):
            await each.close()
