"""The HTTP API as people reach it: over TLS, with a token of the identity provider for its own audience."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator.directory import PrincipalKind, RegisteredPrincipal
from pgjit.demo.world import World
from tests.e2e.worlds import READERS, add_reader, open_world, records

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
            await psycopg.AsyncConnection.connect(conninfo, password=password, application_name="an agent"),
            client(world, token_of(world, admin)) as api,
        ):
            me = (await api.get("whoami")).json()
            [session] = (await api.get("sessions")).json()["items"]
        assert (me["identity"]["oid"], me["roles"]) == (admin.oid, ["admin"])
        assert session["identity"]["oid"] == reader.oid
        assert (session["policy"], session["state"]) == ("reader", "idle")
        [called] = records(world, "api.called")
        assert (called["path"], called["role"]) == ("/api/v1/sessions", "admin")


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
