"""The emulator as Entra and Graph behind the whole proxy: versions, tenants, and memberships that end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import Fault, FaultKind, PrincipalKind, RegisteredPrincipal
from pgjit.demo.world import World
from tests.e2e.attacked import Ahead
from tests.e2e.clients import psql
from tests.e2e.worlds import READERS, ask, open_world, records
from tests.fakes.local_http import local_http
from tests.run.waiting import until, until_it_holds

OTHER = "22222222-2222-4222-8222-222222222222"
MAX_STALE = timedelta(seconds=15)
SECRET = "only-for-tests"
PERMISSIONS = ("Application.Read.All", "User.Read.All", "GroupMember.Read.All")
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'"


class Tenants(World):
    """Two tenants, and both versions of tokens."""

    def identity(self) -> dict[str, object]:
        emulator = self.emulator
        emulator.cloud.add_tenant(OTHER)
        return {
            "tenant": [emulator.tenant, OTHER],
            "audience": emulator.audience,
            "authority": emulator.url,
            "sts": emulator.url,
            "token_versions": ["v1", "v2"],
            "app_id_uri": [f"api://{emulator.audience}"],
        }

    def _write_config(self) -> Path:
        self._config = {**self._config, "identity": self.identity()}
        return super()._write_config()


class Watched(Tenants):
    """The same, and Graph is asked every second."""

    def identity(self) -> dict[str, object]:
        secret = self.folder / "graph-secret"
        secret.write_text(SECRET)
        reader = RegisteredPrincipal(
            kind=PrincipalKind.APP, display="pgjit", secrets=(SECRET,), graph_roles=PERMISSIONS
        )
        self.emulator.directory.add(reader)
        graph = {"url": self.emulator.url, "client_id": reader.client_id, "secret": {"file": str(secret)}}
        return {**super().identity(), "graph": {**graph, "recheck": 1, "max_stale": MAX_STALE.seconds}}


@pytest.fixture
async def tenants(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database, tmp_path, kind=Tenants) as world:
        yield world


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    ahead = Ahead()
    monkeypatch.setattr("pgjit.app.application.Clock", lambda: ahead)
    return ahead


@pytest.fixture
async def watched(database: DemoDatabase, tmp_path: Path, clock: Ahead) -> AsyncIterator[World]:
    async with open_world(database, tmp_path, kind=Watched) as world:
        yield world


async def token_of(world: World, app: RegisteredPrincipal, tenant: str, resource: str) -> str:
    form = {
        "grant_type": "client_credentials", "client_id": str(app.client_id), "client_secret": SECRET,
        "scope": f"{resource}/.default",
    }  # fmt: skip
    async with local_http() as client:
        response = await client.post(f"{world.emulator.url}/{tenant}/oauth2/v2.0/token", data=form)
    return str(response.json()["access_token"])


def an_app(world: World, tenant: str) -> RegisteredPrincipal:
    app = RegisteredPrincipal(kind=PrincipalKind.APP, display="a reader", secrets=(SECRET,))
    return world.emulator.cloud.tenants[tenant].add(app, [READERS])


@pytest.mark.parametrize("version", [1, 2])
async def test_both_versions_of_both_tenants_open_the_door(tenants: World, version: int) -> None:
    tenants.emulator.cloud.api.version = version
    for tenant in (tenants.emulator.tenant, OTHER):
        app = an_app(tenants, tenant)
        for resource in (tenants.emulator.audience, f"api://{tenants.emulator.audience}"):
            token = await token_of(tenants, app, tenant, resource)
            said = await psql(tenants, token, "reader", "SHOW pgjit.identity")
            assert app.oid in said.out, said.err


async def test_a_tenant_that_is_not_ours_is_refused_although_it_has_the_same_keys(tenants: World) -> None:
    stranger = "33333333-3333-4333-8333-333333333333"
    tenants.emulator.cloud.add_tenant(stranger)
    token = await token_of(tenants, an_app(tenants, stranger), stranger, tenants.emulator.audience)
    assert "not accepted" in (await psql(tenants, token, "reader", "SELECT 1")).err
    assert records(tenants, "session.opened") == []


@pytest.mark.parametrize("change", ["removed", "disabled", "deleted", "Graph down"])
async def test_a_session_ends_with_its_membership(watched: World, change: str, clock: Ahead) -> None:
    app = an_app(watched, watched.emulator.tenant)
    token = await token_of(watched, app, watched.emulator.tenant, watched.emulator.audience)
    running = asyncio.create_task(psql(watched, token, "reader", "SELECT pg_sleep(600)"))
    async with asyncio.timeout(60):
        await until_it_holds(lambda: ask(watched.database, SLEEPING))
    match change:
        case "removed":
            watched.emulator.directory.leave(READERS, app.oid)
        case "disabled":
            app.enabled = False
        case "deleted":
            watched.emulator.directory.delete(app.oid)
        case _:
            watched.emulator.faults.put("graph", Fault(kind=FaultKind.STATUS, status=503))
            clock.add(MAX_STALE)
    async with asyncio.timeout(60):
        said = await running
    assert "canceling statement" in said.err
    assert await ask(watched.database, SLEEPING) == 0
    async with asyncio.timeout(60):
        ended = await until(lambda: records(watched, "session.ended"))
    assert ended[0]["reason"] == ("membership-unknown" if change == "Graph down" else "membership-lost")
