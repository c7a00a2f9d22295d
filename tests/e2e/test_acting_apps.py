"""Agents that act as their user or on behalf of a person: their own end is the end of what they do for others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import PrincipalKind, RegisteredPrincipal
from pgjit.demo.world import World
from pgjit.grants.actor import Actor
from pgjit.grants.scope import Scope
from pgjit.identity.identity import IdentityKey
from tests.e2e.clients import psql
from tests.e2e.test_emulated_tenants import SECRET, SLEEPING, Watched
from tests.e2e.worlds import READERS, ask, open_world, records
from tests.fakes.local_http import local_http
from tests.run.waiting import a_while, until, until_it_holds

AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
EXCHANGE = "api://AzureADTokenExchange/.default"
ON_BEHALF_OF = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class Agents:
    """A blueprint with an agent, the agent's own user, and a person."""

    world: World
    blueprint: RegisteredPrincipal
    agent: RegisteredPrincipal
    own_user: RegisteredPrincipal
    person: RegisteredPrincipal

    async def post(self, path: str, **form: str) -> dict[str, object]:
        emulator = self.world.emulator
        async with local_http() as client:
            response = await client.post(f"{emulator.url}/{emulator.tenant}/oauth2/v2.0/{path}", data=form)
        answer: dict[str, object] = response.json()
        return answer

    async def _as_agent(self, scope: str, grant_type: str = "client_credentials", **more: str) -> str:
        first = await self.post(
            "token",
            grant_type="client_credentials",
            client_id=str(self.blueprint.client_id),
            client_secret=SECRET,
            scope=EXCHANGE,
            fmi_path=str(self.agent.client_id),
        )
        answer = await self.post(
            "token",
            grant_type=grant_type,
            client_id=str(self.agent.client_id),
            client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            client_assertion=str(first["access_token"]),
            scope=scope,
            **more,
        )
        return str(answer["access_token"])

    async def own_token(self) -> str:
        """The person's own, without any agent."""
        return await self._of_person(f"{self.world.emulator.audience}/access")

    async def _of_person(self, scope: str) -> str:
        self.world.emulator.cloud.codes.approver = self.person.oid
        begun = await self.post("devicecode", client_id=AZURE_CLI, scope=scope)
        given = await self.post(
            "token",
            client_id=AZURE_CLI,
            grant_type="urn:ietf:params:oauth:grant-type:device_code",
            device_code=str(begun["device_code"]),
        )
        return str(given["access_token"])

    async def token(self, way: str) -> str:
        audience = self.world.emulator.audience
        match way:
            case "as its user":
                return await self._as_agent(
                    f"{audience}/access",
                    "user_fic",
                    user_id=self.own_user.oid,
                    user_federated_identity_credential=await self._as_agent(EXCHANGE),
                )
            case "on behalf of a person":
                return await self._as_agent(
                    f"{audience}/.default",
                    ON_BEHALF_OF,
                    requested_token_use="on_behalf_of",
                    assertion=await self._of_person(f"api://{self.blueprint.client_id}/access_agent"),
                )
            case _:
                return await self._as_agent(f"{audience}/.default")


@pytest.fixture
async def agents(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[Agents]:
    async with open_world(database, tmp_path, kind=Watched) as world:
        add = world.emulator.directory.add
        blueprint = add(RegisteredPrincipal(kind=PrincipalKind.BLUEPRINT, display="agents", secrets=(SECRET,)))
        agent = add(
            RegisteredPrincipal(kind=PrincipalKind.AGENT, display="agent 7", parent=blueprint.client_id), [READERS]
        )
        user = add(
            RegisteredPrincipal(kind=PrincipalKind.AGENT_USER, display="its user", parent=agent.client_id), [READERS]
        )
        yield Agents(
            world,
            blueprint,
            agent,
            user,
            add(RegisteredPrincipal(kind=PrincipalKind.USER, display="Ana Visser"), [READERS]),
        )


@pytest.mark.parametrize("way", ["as its user", "on behalf of a person", "as itself"])
@pytest.mark.parametrize("change", ["disabled", "deleted"])
async def test_the_end_of_an_agent_ends_the_sessions_that_it_acts_in(agents: Agents, way: str, change: str) -> None:
    world = agents.world
    token = await agents.token(way)
    running = asyncio.create_task(psql(world, token, "reader", "SELECT pg_sleep(600)"))
    async with asyncio.timeout(60):
        await until_it_holds(lambda: ask(world.database, SLEEPING))
    await a_while(1.5)  # more than an interval: while both are there nothing ends
    assert not running.done()
    if change == "disabled":
        agents.agent.enabled = False
    else:
        world.emulator.directory.delete(agents.agent.oid)
    async with asyncio.timeout(60):
        said = await running
    assert "canceling statement" in said.err
    assert await ask(world.database, SLEEPING) == 0
    async with asyncio.timeout(60):
        ended = await until(lambda: records(world, "session.ended"))
    itself = way == "as itself"
    assert ended[0]["reason"] == ("membership-lost" if itself else "acting-app-lost")
    again = await psql(world, token, "reader", "SELECT 1")
    assert "access token was not accepted" in again.err
    refused = records(world, "login.refused")[-1]
    assert refused["reference"] == (f"principal-{change}" if itself else f"acting-app-{change}")


async def test_a_revoked_agent_ends_its_sessions_and_leaves_the_person_their_own(agents: Agents) -> None:
    world = agents.world
    by_agent, by_person = await agents.token("on behalf of a person"), await agents.own_token()
    assert (await psql(world, by_person, "reader", "SELECT 'person'")).out == "person\n"
    running = asyncio.create_task(psql(world, by_agent, "reader", "SELECT pg_sleep(600)"))
    async with asyncio.timeout(60):
        await until_it_holds(lambda: ask(world.database, SLEEPING))
    opened: list[Any] = records(world, "window.opened")
    first, second = (record["window"] for record in opened)
    assert (first["id"] != second["id"], second["ends_at"]) == (True, first["ends_at"])
    scope = Scope.of_identity(IdentityKey(world.emulator.tenant, str(agents.agent.client_id)))
    admin = Actor(key=IdentityKey(world.emulator.tenant, "an-admin"), display="admin", via="api")
    revoked = await world.app._revocations.revoke(scope, "runs wild", admin)
    assert [each.id for each in revoked] == [second["id"]]
    async with asyncio.timeout(60):
        assert "runs wild" in (await running).err
    assert await ask(world.database, SLEEPING) == 0
    assert "was revoked" in (await psql(world, by_agent, "reader", "SELECT 1")).err
    assert (await psql(world, by_person, "reader", "SELECT 'person'")).out == "person\n"


async def test_a_person_whose_agent_is_gone_still_gets_in_without_it(agents: Agents) -> None:
    token = await agents.token("on behalf of a person")
    agents.agent.enabled = False
    assert "not accepted" in (await psql(agents.world, token, "reader", "SELECT 1")).err
    emulator = agents.world.emulator
    own = await agents.own_token()
    assert (await psql(agents.world, own, "reader", "SELECT 'in'")).out == "in\n"
    # Microsoft's own clients need no object in a tenant.
    azure_cli = emulator.directory.client(AZURE_CLI)
    assert azure_cli is not None
    emulator.directory.delete(azure_cli.oid)
    await a_while(1.1)
    assert (await psql(agents.world, own, "reader", "SELECT 'in'")).out == "in\n"
