"""`grant: review` as an agent with nothing but libpq meets it: the login makes the request, people decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator.directory import RegisteredPrincipal
from pgjit.demo.emulator.settings import AppCredentials
from pgjit.demo.world import World
from pgjit.identity.identity import GroupId
from pgjit.policy.grant_terms import Grant, GrantTerms, ReasonTerms, ReviewTerms
from pgjit.proxy.door.waiting_logins import WaitingLogins
from tests.e2e.test_http_api import REVIEWERS, add_person, api_world, client, token_of
from tests.e2e.worlds import add_reader, records
from tests.run.waiting import until, until_it_holds

REVIEWED = GrantTerms(review=ReviewTerms(groups=(GroupId(REVIEWERS),), group_names=("dba-on-call",)))


@asynccontextmanager
async def reviewed_world(database: DemoDatabase, folder: Path) -> AsyncIterator[tuple[World, RegisteredPrincipal]]:
    async with api_world(database, folder) as world:
        policies = world.app._config.policies
        policies["reader"] = replace(policies["reader"], grant=Grant.REVIEW, terms=REVIEWED)
        yield world, add_person(world, "rita", REVIEWERS)


async def connect(world: World, agent: AppCredentials, options: str = "") -> psycopg.AsyncConnection:
    password = await world.token(agent)
    return await psycopg.AsyncConnection.connect(world.conninfo("reader"), password=password, options=options)


async def refusal(world: World, agent: AppCredentials, options: str = "") -> str:
    try:
        await (await connect(world, agent, options)).close()
    except psycopg.OperationalError as error:
        return str(error)
    raise AssertionError("the login was not refused")


async def pending(world: World, person: RegisteredPrincipal) -> dict[str, str]:
    async with client(world, token_of(world, person)) as api:

        async def items() -> list[dict[str, str]]:
            return list((await api.get("requests?state=pending")).json()["items"])

        return (await until_it_holds(items))[0]


async def verdict(world: World, person: RegisteredPrincipal, what: str, **body: object) -> None:
    request = await pending(world, person)
    async with client(world, token_of(world, person)) as api:
        answer = await api.post(f"requests/{request['id']}/{what}", json=body)
    assert answer.status_code == 200, answer.text


async def test_a_login_makes_the_request_and_opens_once_approved(database: DemoDatabase, tmp_path: Path) -> None:
    async with reviewed_world(database, tmp_path) as (world, person):
        agent = add_reader(world)
        first = await refusal(world, agent, "-c pgjit.reason=diff")
        request = await pending(world, person)
        for words in ("waits for review", request["id"], "dba-on-call"):
            assert words in first
        assert request["id"] in await refusal(world, agent), "a second login finds the same request"
        assert not records(world, "window.opened")
        assert not records(world, "session.opened")
        await verdict(world, person, "approve", ttl_seconds=600)
        async with await connect(world, agent) as connection:
            [row] = await (await connection.execute("SELECT 1")).fetchall()
            assert row == (1,)
            async with await connect(world, agent):
                pass  # a reconnect joins the window; nobody approves twice
        [opened] = records(world, "window.opened")
        window = opened["window"]
        assert isinstance(window, dict)
        lasts = datetime.fromisoformat(window["ends_at"]) - datetime.fromisoformat(window["opened_at"])
        assert lasts == timedelta(minutes=10)  # the reviewer's cap
        assert len(records(world, "session.opened")) == 2


async def test_something_else_than_what_was_approved_opens_nothing(database: DemoDatabase, tmp_path: Path) -> None:
    async with reviewed_world(database, tmp_path) as (world, person):
        agent = add_reader(world)
        await refusal(world, agent, "-c pgjit.reason=diff")
        await verdict(world, person, "approve")
        assert "waits for review" in await refusal(world, agent, "-c pgjit.reason=other")
        assert "waits for review" in await refusal(world, agent, "-c pgjit.reason=diff")
        assert not records(world, "window.opened")


async def test_a_refusal_reaches_the_agent_and_starts_the_cooldown(database: DemoDatabase, tmp_path: Path) -> None:
    async with reviewed_world(database, tmp_path) as (world, person):
        agent = add_reader(world)
        await refusal(world, agent)
        await verdict(world, person, "refuse", reason="not today")
        for _ in range(2):
            error = await refusal(world, agent)
            assert "was refused" in error
            assert "not today" in error
        assert not records(world, "window.opened")


async def test_a_login_waits_for_the_verdict(database: DemoDatabase, tmp_path: Path) -> None:
    async with reviewed_world(database, tmp_path) as (world, person):
        agent = add_reader(world)
        waiting = asyncio.create_task(connect(world, agent, "-c pgjit.wait=5m"))
        await verdict(world, person, "approve")
        async with await waiting as connection:
            assert (await (await connection.execute("SELECT 1")).fetchone()) == (1,)


async def test_a_login_that_waits_holds_no_sessions_place(database: DemoDatabase, tmp_path: Path) -> None:
    async with reviewed_world(database, tmp_path) as (world, person):
        services = world.app._services
        services.identity_quota.most = 1
        services.waiting_logins = WaitingLogins(connections=4, connections_per_address=4)
        agent = add_reader(world)
        waiting = asyncio.create_task(connect(world, agent, "-c pgjit.wait=5m"))
        request = await pending(world, person)
        await until(lambda: len(services.waiting_logins))
        assert len(services.identity_quota) == 0
        full = await refusal(world, agent, "-c pgjit.wait=5m")
        for words in ("too many logins wait for a review", request["id"], "without `pgjit.wait`"):
            assert words in full
        assert "waits for review" in await refusal(world, agent), "a login without a wait needs no place"
        await verdict(world, person, "approve")
        async with await waiting:
            assert (len(services.waiting_logins), len(services.identity_quota)) == (0, 1)
            assert "too many sessions of your identity" in await refusal(world, agent)


async def test_a_required_reason_is_asked_before_a_window(database: DemoDatabase, tmp_path: Path) -> None:
    async with api_world(database, tmp_path) as world:
        policies = world.app._config.policies
        terms = GrantTerms(reason=ReasonTerms(required=True))
        policies["reader"] = replace(policies["reader"], terms=terms)
        agent = add_reader(world)
        assert "reason is missing" in await refusal(world, agent)
        assert "ttl" in await refusal(world, agent, "-c pgjit.reason=x -c pgjit.ttl=24h")
        assert "not a length of time" in await refusal(world, agent, "-c pgjit.wait=soon")
        assert not records(world, "window.opened")
        async with await connect(world, agent, "-c pgjit.reason=x -c pgjit.ttl=1m"):
            pass
