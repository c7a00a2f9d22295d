"""Memberships, tokens and addresses that a session rests on, through the whole proxy with real clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.proxy.window.wait_until import _TICK
from tests.e2e.attacked import Ahead
from tests.e2e.clients import connect_asyncpg, connect_psycopg, psql
from tests.e2e.entra_worlds import GROUP, OID, graph_world, policy_text
from tests.e2e.from_address import said_to
from tests.e2e.worlds import Record, ask, records
from tests.fakes.entra import ABSENT, OTHER_TENANT, StandIn
from tests.run.waiting import a_while, until, until_it_holds

QUICK = {"recheck": 1, "max_stale": 15}
Connection = psycopg.AsyncConnection[tuple[object, ...]]


@pytest.fixture
async def entra() -> AsyncIterator[StandIn]:
    async with StandIn() as served:
        served.graph.add(OID, GROUP)
        yield served


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    ahead = Ahead()
    monkeypatch.setattr("pgjit.app.application.Clock", lambda: ahead)
    return ahead


async def ended(world: World) -> Record:
    """The record of the session's end: it is written after the client was told."""
    return (await until(lambda: records(world, "session.ended")))[0]


async def gone(world: World, pid: int) -> None:
    query = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1"
    await until_it_holds(lambda: ask(world.database, query, pid))


def refused(world: World) -> Record:
    return records(world, "login.refused")[-1]


async def cut_off(connection: Connection, text: str) -> None:
    """A statement that sleeps is cancelled for the reason that `text` is in, and the session is over."""
    with pytest.raises(psycopg.errors.QueryCanceled, match=text):
        await connection.execute("SELECT pg_sleep(600)")
    with pytest.raises(psycopg.OperationalError, match=text):
        await connection.execute("SELECT 1")
    await connection.close()


async def running(world: World, pid: int) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active'"
    await until_it_holds(lambda: ask(world.database, query, pid))


# --- membership ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("answered_cancels")
async def test_who_is_removed_while_a_statement_runs_is_stopped_within_the_interval(
    database: DemoDatabase, tmp_path: Path, entra: StandIn
) -> None:
    async with graph_world(database, tmp_path, entra, graph=QUICK) as world:
        token = entra.token(OID, groups=ABSENT)
        connection = await connect_psycopg(world, token, "reader")
        sleeping = asyncio.create_task(cut_off(connection, "no longer open to you"))
        await running(world, connection.info.backend_pid)
        requested = entra.graph.checks[OID]
        await until(lambda: entra.graph.checks[OID] > requested + 1)  # who is a member stays
        assert not sleeping.done()
        # At the first no: all answers after it are yes again.
        entra.graph.people[OID].noes = 1
        await gone(world, connection.info.backend_pid)
        entra.graph.people[OID].groups.clear()
        await sleeping
        record = await ended(world)
        proof = record["proof"]
        assert isinstance(proof, dict)
        assert (record["reason"], proof["cancel_sent"], proof["gone"]) == ("membership-lost", True, True)
        [outcome] = records(world, "outcome")
        assert (outcome["ended"], outcome["sqlstate"]) == ("failed", "57014")
        assert records(world, "session.opened")[0]["membership"]["source"] == "graph"  # type: ignore[index]

        with pytest.raises(psycopg.OperationalError, match="no policy opens"):
            await connect_psycopg(world, token, "reader")
        # The window ended with the membership: who is let in again waits for the next one.
        [window] = await until(lambda: records(world, "window.ended"))
        assert window["reason"] == "membership-lost"
        entra.graph.people[OID].groups.add(GROUP)

        async def cooling_down() -> bool:
            return "new window may be requested" in (await psql(world, token, "reader", "SELECT 'in'")).err

        await until_it_holds(cooling_down)
        assert len(records(world, "window.opened")) == 1


@pytest.mark.parametrize("what", ["disabled", "deleted"])
async def test_a_principal_that_is_disabled_or_deleted_loses_its_sessions_and_gets_none(
    database: DemoDatabase, tmp_path: Path, entra: StandIn, what: str
) -> None:
    async with graph_world(database, tmp_path, entra, graph=QUICK) as world:
        token = entra.token(OID)
        idle = await connect_asyncpg(world, token, "reader")
        pid = idle.get_server_pid()
        if what == "disabled":
            entra.graph.people[OID].enabled = False
        else:
            del entra.graph.people[OID]
        await gone(world, pid)
        assert (await ended(world))["reason"] == "membership-lost"
        idle.terminate()
        said = await psql(world, token, "reader", "SELECT 1")
        assert "access token was not accepted" in said.err
        assert refused(world)["reference"] == f"principal-{what}"
        assert refused(world)["identity"]["oid"] == OID  # type: ignore[index]


async def test_while_graph_is_down_the_last_answer_counts_for_so_long(
    database: DemoDatabase, tmp_path: Path, entra: StandIn
) -> None:
    async with graph_world(database, tmp_path, entra, graph={"recheck": 1, "max_stale": 3}) as world:
        token = entra.token(OID)
        connection = await connect_psycopg(world, token, "reader")
        entra.graph.fault = httpx.Response(500)
        requested = entra.graph.checks[OID]
        await cut_off(connection, "could not be confirmed")
        assert entra.graph.checks[OID] > requested  # it was asked again before the session ended
        assert (await ended(world))["reason"] == "membership-unknown"
        said = await psql(world, token, "reader", "SELECT 1")
        assert "memberships cannot be checked now" in said.err
        assert refused(world)["sqlstate"] == "57P03"
        assert "500" not in said.err
        assert refused(world)["reference"] == "directory-unavailable"
        assert "Graph answered 500" in str(refused(world)["reason"])


async def test_many_sessions_of_one_identity_are_one_question_an_interval(
    database: DemoDatabase, tmp_path: Path, entra: StandIn
) -> None:
    async with graph_world(database, tmp_path, entra, graph={"recheck": 2, "max_stale": 6}) as world:
        token = entra.token(OID)
        connections = await asyncio.gather(*(connect_psycopg(world, token, "reader") for _ in range(15)))
        requested = entra.graph.checks[OID]
        assert requested < 15
        await until(lambda: entra.graph.checks[OID] > requested)
        assert entra.graph.checks[OID] < requested + 15
        for connection in connections:
            await connection.close()


async def test_the_tokens_groups_let_in_until_graph_has_said_no(
    database: DemoDatabase, tmp_path: Path, entra: StandIn
) -> None:
    world = graph_world(database, tmp_path, entra, graph={"recheck": 1, "max_stale": 2}, groups="claim-then-graph")
    async with world:
        token = entra.token(OID, GROUP)
        said = await psql(world, token, "reader", "SELECT 'in'")  # from before the start: Graph was asked
        assert said.out == "in\n"
        connection = await connect_psycopg(world, token, "reader")
        entra.graph.people[OID].groups.clear()  # since the token was made
        await cut_off(connection, "no longer open to you")
        first, second = (each["membership"] for each in records(world, "session.opened"))
        assert isinstance(first, dict)
        assert isinstance(second, dict)
        assert (first["source"], second["source"], second["group"]) == ("graph", "claim", GROUP)
        await a_while(2.5)  # more than `max_stale`: the answer is old, and not forgotten
        assert "no policy opens" in (await psql(world, token, "reader", "SELECT 1")).err
        assert len(records(world, "session.opened")) == 2


async def test_a_tokens_groups_do_while_graph_is_down_for_less_than_the_bound(
    database: DemoDatabase, tmp_path: Path, entra: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pgjit.identity.membership_rechecks._SKEW", timedelta(minutes=-10)
    )  # as if pgjit had long been up
    world = graph_world(database, tmp_path, entra, graph={"recheck": 1, "max_stale": 2}, groups="claim-then-graph")
    async with world:
        entra.graph.fault = httpx.Response(500)
        token = entra.token(OID, GROUP)
        connection = await connect_psycopg(world, token, "reader")
        await cut_off(connection, "could not be confirmed")
        assert "memberships cannot be checked now" in (await psql(world, token, "reader", "SELECT 1")).err
        assert records(world, "session.opened")[0]["membership"]["source"] == "claim"  # type: ignore[index]


async def test_groups_that_a_token_has_no_room_for_are_looked_up_in_graph_and_nowhere_else(
    database: DemoDatabase, tmp_path: Path, entra: StandIn
) -> None:
    elsewhere = {
        "groups": ABSENT,
        "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": f"{entra.url}/trap"}},
    }
    world = graph_world(database, tmp_path, entra, graph=QUICK, groups="claim-then-graph")
    async with world:
        said = await psql(world, entra.token(OID, **elsewhere), "reader", "SELECT 'in'")  # type: ignore[arg-type]
        assert said.out == "in\n"
        assert not any("trap" in requested for requested in entra.graph.requested)


async def test_by_the_token_alone_nobody_looks_again(database: DemoDatabase, tmp_path: Path, entra: StandIn) -> None:
    async with graph_world(database, tmp_path, entra) as world:
        said = await psql(world, entra.token(OID, GROUP), "reader", "SELECT 'in'")
        assert said.out == "in\n"
        assert entra.graph.requested == []


# --- the token -----------------------------------------------------------------------------------------------


async def test_a_session_that_is_bound_to_its_token_ends_with_it(
    database: DemoDatabase, tmp_path: Path, entra: StandIn, clock: Ahead
) -> None:
    async with graph_world(database, tmp_path, entra, policy_text("reader", "bind_to_token: true")) as world:
        ends = int(time.time()) + 600
        connection = await connect_psycopg(world, entra.token(OID, GROUP, exp=ends), "reader")
        pid = connection.info.backend_pid
        left = await (await connection.execute("SHOW pgjit.remaining")).fetchone()
        assert left is not None
        assert "0:00:00" < str(left[0]) <= "0:10:00"
        sleeping = asyncio.create_task(cut_off(connection, "has expired"))
        await running(world, pid)
        assert records(world, "session.ended") == []
        clock.add(timedelta(minutes=10))
        await sleeping
        await gone(world, pid)
        late = clock() - datetime.fromtimestamp(ends, UTC)
        assert late >= timedelta(0)
        assert (await ended(world))["reason"] == "token-expired"
        # Within the leeway the token would still be taken: not under this policy.
        said = await psql(world, entra.token(OID, GROUP, exp=ends), "reader", "SELECT 1")
        assert "access token was not accepted" in said.err
        assert refused(world)["reference"] == "expired"
        # The window goes on, with a fresh one.
        said = await psql(world, entra.token(OID, GROUP), "reader", "SELECT 'in'")
        assert said.out == "in\n"
        assert len(records(world, "window.opened")) == 1


async def test_a_session_outlives_its_token_where_no_policy_says_otherwise(
    database: DemoDatabase, tmp_path: Path, entra: StandIn, clock: Ahead
) -> None:
    async with graph_world(database, tmp_path, entra) as world:
        ends = int(time.time()) + 600
        connection = await connect_psycopg(world, entra.token(OID, GROUP, exp=ends), "reader")
        clock.add(timedelta(minutes=10, seconds=1))
        await a_while(2 * _TICK)  # so long, who waits for a moment does not look at the clock
        assert await (await connection.execute("SELECT 'still'")).fetchone() == ("still",)
        await connection.close()


async def test_a_token_that_is_taken_once_opens_no_second_session(
    database: DemoDatabase, tmp_path: Path, entra: StandIn
) -> None:
    async with graph_world(database, tmp_path, entra, policy_text("reader", "single_use_token: true")) as world:
        token = entra.token(OID, GROUP)
        said = await psql(world, token, "reader", "SELECT 'in'")
        assert said.out == "in\n"
        outcomes = await asyncio.gather(*(psql(world, token, "reader", "SELECT 'in'") for _ in range(3)))
        assert all("access token was used already" in each.err for each in outcomes)
        assert [each["reference"] for each in records(world, "login.refused")] == ["token-used"] * 3
        fresh = entra.token(OID, GROUP)
        outcomes = await asyncio.gather(*(psql(world, fresh, "reader", "SELECT 'in'") for _ in range(3)))
        assert sorted(each.out for each in outcomes) == ["", "", "in\n"]
        assert len(records(world, "window.opened")) == 1
    async with graph_world(database, tmp_path, entra, policy_text("reader", "single_use_token: true")) as world:
        said = await psql(world, token, "reader", "SELECT 'in'")  # a restart forgets nothing
        assert "access token was used already" in said.err


async def test_a_window_that_is_bound_to_an_address_is_joined_from_there_alone(
    database: DemoDatabase, tmp_path: Path, entra: StandIn
) -> None:
    async with graph_world(database, tmp_path, entra, policy_text("reader", "bind_to_source: true")) as world:
        token = entra.token(OID, GROUP)
        said = await psql(world, token, "reader", "SELECT 'in'")
        assert said.out == "in\n"
        assert "bound to another address" in await said_to(world, "127.0.0.2", token, "reader")
        assert refused(world)["reference"] == "other-source"
        assert str(refused(world)["source"]).startswith("127.0.0.2:")
        assert (await psql(world, token, "reader", "SELECT 'in'")).out == "in\n"


# --- what a policy requires ----------------------------------------------------------------------------------

AGENT: dict[str, object] = {"xms_act_fct": "11", "xms_sub_fct": "11"}
FOR_A_USER: dict[str, object] = {"idtyp": "user", "scp": "access", "xms_act_fct": "11"}
REQUIRED: list[tuple[str, dict[str, object], bool]] = [
    ("{credential: certificate}", {"azpacr": "2"}, True),
    ("{credential: certificate}", {"azpacr": "1"}, False),
    ("{credential: certificate}", {"azpacr": ABSENT}, False),
    ("{principal: [app, agent]}", {}, True),
    ("{principal: [app, agent]}", AGENT, True),
    ("{principal: [agent]}", {}, False),
    ("{principal: [user]}", FOR_A_USER, False),
    ("{principal: [user, agent]}", FOR_A_USER, True),
    ("{acrs: [c1]}", {"acrs": ["c1", "c2"]}, True),
    ("{acrs: [c1]}", {}, False),
]


async def test_what_a_policy_requires_has_to_be_in_the_token(
    database: DemoDatabase, tmp_path: Path, entra: StandIn
) -> None:
    groups = [f"99999999-9999-4999-8999-{number:012}" for number in range(len(REQUIRED))]
    policies = [
        policy_text(f"p-{number}", f"require: {required}", whom=f"group: {groups[number]}")
        for number, (required, _, _) in enumerate(REQUIRED)
    ]
    async with graph_world(database, tmp_path, entra, *policies) as world:
        for number, (required, claims, met) in enumerate(REQUIRED):
            token = entra.token(OID, groups[number], **claims)  # type: ignore[arg-type]
            said = await psql(world, token, f"p-{number}", "SELECT 'in'")
            assert (said.out == "in\n") is met, (required, claims, said.err)
            if not met:
                assert "requires more than your token shows" in said.err
                assert refused(world)["reference"] == "requirement-not-met"


async def test_an_app_role_may_stand_for_a_group(database: DemoDatabase, tmp_path: Path, entra: StandIn) -> None:
    policy = policy_text(whom="role: Database.Read")
    async with graph_world(database, tmp_path, entra, policy, graph=QUICK) as world:
        said = await psql(world, entra.token(OID, roles=["Database.Read"]), "reader", "SELECT 'in'")
        assert said.out == "in\n"
        said = await psql(world, entra.token(OID, roles=["database.read"]), "reader", "SELECT 'in'")
        assert "no policy opens" in said.err
        assert records(world, "session.opened")[0]["membership"]["role"] == "Database.Read"  # type: ignore[index]


# --- tenants and versions ------------------------------------------------------------------------------------


async def test_tenants_and_versions_that_are_named_get_in_and_do_not_sign_for_each_other(
    database: DemoDatabase, tmp_path: Path
) -> None:
    async with StandIn("7c9e6679-7425-40de-944b-e07fc1f90ae7", OTHER_TENANT) as entra:
        one, other = entra.keys
        uri = "api://pgjit.example"
        world = graph_world(database, tmp_path, entra, token_versions=["v1", "v2"], app_id_uri=uri)
        async with world:

            def v1(tenant: str, **changes: object) -> dict[str, object]:
                return {"ver": "1.0", "iss": entra.issuer(tenant, 1), "aud": uri, "azp": ABSENT,
                        "appid": "9b2d7c1e-0f4a-4d8e-8b6c-5a3e1f2d4c60", "azpacr": ABSENT, "appidacr": "1",
                        **changes}  # fmt: skip

            good = [
                entra.token(OID, GROUP, tenant=one),
                entra.token(OID, GROUP, tenant=other),
                entra.token(OID, GROUP, tenant=one, **v1(one)),  # type: ignore[arg-type]
            ]
            for token in good:
                assert (await psql(world, token, "reader", "SELECT 'in'")).out == "in\n"
            windows = records(world, "window.opened")
            assert len(windows) == 2  # the same object id in two tenants is two identities
            bad = {
                "unknown-key": entra.token(OID, GROUP, tenant=one, key=entra.keys[other][0]),
                "wrong-tenant": entra.token(OID, GROUP, tenant=one, tid=other),
                "wrong-version": entra.token(OID, GROUP, tenant=one, ver="1.0"),
                "wrong-issuer": entra.token(OID, GROUP, tenant=one, iss="https://sts.windows.net/x/"),
                "wrong-audience": entra.token(OID, GROUP, tenant=one, aud=uri),  # v2 is for the client id alone
            }
            for reason, token in bad.items():
                said = await psql(world, token, "reader", "SELECT 1")
                assert "access token was not accepted" in said.err
                assert refused(world)["reference"] == reason
