"""The HTTP API as people reach it: over TLS, with a token of the identity provider for its own audience."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from httpx_sse import aconnect_sse

from pgjit.audit.proof.inclusion_file import InclusionFile
from pgjit.audit.proof.note import VerifierKey
from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator.directory import PrincipalKind, RegisteredPrincipal
from pgjit.demo.world import World
from pgjit.identity.identity import GroupId
from pgjit.policy.grant_terms import Grant, GrantTerms, ReviewTerms
from tests.e2e.worlds import READERS, add_reader, open_world, records
from tests.run.waiting import until_it_holds

ADMINS = "a0000000-0000-4000-8000-0000000000ad"


@asynccontextmanager
async def api_world(database: DemoDatabase, folder: Path) -> AsyncIterator[World]:
    config: Mapping[str, object] = {"api": {"roles": {"admin": ADMINS}}}
    async with open_world(database, folder, config=config) as world:
        yield world


def add_person(world: World, name: str, *groups: str) -> RegisteredPrincipal:
    person = RegisteredPrincipal(kind=PrincipalKind.USER, display=name, upn=f"{name}@example.com")
    world.emulator.directory.add(person, groups)
    return person


def client(world: World, token: str | None = None) -> httpx.AsyncClient:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    trust = ssl.create_default_context(cafile=str(world.certificates.authority))
    return httpx.AsyncClient(
        base_url=f"https://localhost:{world.app.api_port}/api/v1/", headers=headers, verify=trust, timeout=60
    )


def token_of(world: World, person: RegisteredPrincipal) -> str:
    return world.emulator.issue(person, aud=world.emulator.people_audience)


async def test_a_person_sees_a_live_session_over_tls(database: DemoDatabase, tmp_path: Path) -> None:
    async with api_world(database, tmp_path) as world:
        admin = add_person(world, "ann", ADMINS)
        reader = add_reader(world)
        password = await world.token(reader)
        conninfo = world.conninfo("reader")
        async with (
            await psycopg.AsyncConnection.connect(conninfo, password=password, application_name="an agent") as agent,
            client(world, token_of(world, admin)) as api,
        ):
            me = (await api.get("whoami")).json()
            [session] = (await api.get("sessions")).json()["items"]
            await agent.execute("SELECT 41 + 1")
            audit = (await api.get("audit/executions?limit=1")).json()
        assert (me["identity"]["oid"], me["roles"]) == (admin.oid, ["admin"])
        assert session["identity"]["oid"] == reader.oid
        assert (session["policy"], session["state"]) == ("reader", "idle")
        [ran] = audit["items"]
        assert (ran["statement"], ran["oid"], ran["ended"]) == ("SELECT 41 + 1", reader.oid, "completed")
        assert (ran["session"], ran["application_name"], audit["complete"]) == (session["id"], "an agent", True)
        calls = [(called["path"], called["role"]) for called in records(world, "api.called")]
        assert calls == [("/api/v1/sessions", "admin"), ("/api/v1/audit/executions", "admin")]


async def test_a_person_has_the_journal_verified_and_a_record_proved(database: DemoDatabase, tmp_path: Path) -> None:
    async with api_world(database, tmp_path) as world:
        admin = add_person(world, "ann", ADMINS)
        password = await world.token(add_reader(world))
        async with await psycopg.AsyncConnection.connect(world.conninfo("reader"), password=password) as agent:
            await agent.execute("SELECT 41 + 1")
        async with client(world, token_of(world, admin)) as api:
            [ran] = (await api.get("audit/executions?text=41")).json()["items"]

            async def proved() -> str:
                response = await api.get("audit/proof", params={"record": ran["execution"]})
                assert response.status_code in (200, 409), response.text  # a checkpoint is made every few seconds
                return response.text if response.status_code == 200 else ""

            proof = InclusionFile.parse((await until_it_holds(proved)).encode())
            [journal] = (await api.get("audit/journals")).json()["items"]
            assert (await api.post("audit/verification")).status_code == 202

            async def verified() -> list[Any]:
                state = (await api.get("audit/verification")).json()
                return [] if state["state"] == "running" else [state]

            [result] = await until_it_holds(verified)
        assert (journal["origin"], journal["fault"], journal["signed"] > proof.line_index) == (
            ran["journal"],
            None,
            True,
        )
        proof.check([VerifierKey.parse(text) for text in journal["keys"]])
        assert b"SELECT 41 + 1" in proof.line
        assert (result["state"], [each["intact"] for each in result["journals"]]) == ("done", [True])
        assert ("/api/v1/audit/verification", "admin") in [
            (called["path"], called["role"]) for called in records(world, "api.called")
        ]


async def test_a_person_sees_what_runs_and_stops_it(database: DemoDatabase, tmp_path: Path) -> None:
    async with api_world(database, tmp_path) as world:
        admin = add_person(world, "ann", ADMINS)
        password = await world.token(add_reader(world))
        async with (
            await psycopg.AsyncConnection.connect(
                world.conninfo("reader"), password=password, autocommit=True
            ) as agent,
            client(world, token_of(world, admin)) as api,
        ):
            await agent.execute("SELECT generate_series(1, 7)")
            running = asyncio.create_task(agent.execute("SELECT pg_sleep(600)"))

            async def busy() -> dict[str, Any] | None:
                [session] = (await api.get("sessions")).json()["items"]
                found: dict[str, Any] | None = session if session["running"] else None
                return found

            session = await until_it_holds(busy)
            assert session is not None
            assert session["running"]["statement"] == "SELECT pg_sleep(600)"
            assert session["running"]["execution"] == f"{session['id']}/{session['executions']}"
            assert (session["state"], session["rows"]) == ("active", 7)
            assert session["budget"]["rows"]["used"] == 7
            await api.post(f"sessions/{session['id']}/kill", json={"reason": "runs away"})
            with pytest.raises(psycopg.Error):
                await running

            async def saved() -> bool:
                """What sessions that are over have used comes from the store, where it is saved every few seconds."""
                window = (await api.get(f"windows/{session['window']}")).json()
                assert window["state"] == "open"
                return bool(window["budget"]["rows"]["used"] == 7)

            await until_it_holds(saved)


REVIEWERS = "b0000000-0000-4000-8000-0000000000ad"


async def test_a_request_is_made_by_an_agent_and_approved_by_a_person(database: DemoDatabase, tmp_path: Path) -> None:
    async with api_world(database, tmp_path) as world:
        policies = world.app._config.policies
        terms = GrantTerms(review=ReviewTerms(groups=(GroupId(REVIEWERS),)))
        policies["reader"] = replace(policies["reader"], grant=Grant.REVIEW, terms=terms)
        agent = add_reader(world)
        person = add_person(world, "rita", REVIEWERS)
        async with (
            client(world, world.emulator.issue(agent, aud=world.emulator.people_audience)) as asking,
            client(world, token_of(world, person)) as reviewing,
        ):
            made = await asking.post("requests", json={"policy": "reader", "reason": "schema diff"})
            assert (made.status_code, made.json()["state"]) == (202, "pending")
            own = await asking.post(f"requests/{made.json()['id']}/approve", json={})
            assert (own.status_code, own.json()["reference"]) == (403, "agents-never-review")
            [listed] = (await reviewing.get("requests?state=pending")).json()["items"]
            assert listed == made.json()
            body = {"digest": listed["digest"], "comment": "go", "ttl_seconds": 600}
            done = await reviewing.post(f"requests/{listed['id']}/approve", json=body)
            assert (done.status_code, done.json()["state"]) == (200, "approved")
            again = await asking.get(f"requests/{listed['id']}")
            assert [each["by"]["oid"] for each in again.json()["verdicts"]] == [person.oid]
        calls = [
            (record["role"], str(record["path"]).rpartition("/")[2], record.get("status"))
            for record in records(world, "api.called")
        ]
        assert calls == [
            ("requester", "requests", None),
            ("requester", "approve", 403),
            ("reviewer", "requests", None),
            ("reviewer", "approve", None),
        ]


async def test_a_person_follows_events(database: DemoDatabase, tmp_path: Path) -> None:
    async with api_world(database, tmp_path) as world:
        admin = add_person(world, "ann", ADMINS)
        reader = add_reader(world)
        password = await world.token(reader)
        async with client(world, token_of(world, admin)) as api, aconnect_sse(api, "GET", "events") as source:
            events = source.aiter_sse()
            assert (await anext(events)).retry == 3000
            opened = asyncio.create_task(anext(events))
            async with await psycopg.AsyncConnection.connect(world.conninfo("reader"), password=password):
                event = await asyncio.wait_for(opened, 60)
            assert event.event == "window.opened"
            assert event.json()["identity"]["oid"] == reader.oid
            assert event.id.rpartition(":")[2].isdigit()


async def test_a_token_for_the_proxy_opens_nothing(database: DemoDatabase, tmp_path: Path) -> None:
    async with api_world(database, tmp_path) as world:
        admin = add_person(world, "ann", ADMINS, READERS)
        async with client(world, world.emulator.issue(admin)) as api:
            refused = await api.get("whoami")
        assert (refused.status_code, refused.json()["reference"]) == (401, "token-refused")
        [record] = records(world, "login.refused")
        assert record["reference"] == "wrong-audience"


async def test_nothing_is_served_without_tls(database: DemoDatabase, tmp_path: Path) -> None:
    async with api_world(database, tmp_path) as world, httpx.AsyncClient(timeout=60) as plain:
        with pytest.raises(httpx.TransportError):
            await plain.get(f"http://localhost:{world.app.api_port}/api/v1/whoami")
