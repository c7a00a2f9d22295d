"""OAUTHBEARER with libpq 18 itself: it asks where to get a token, gets one, and is in."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, open_world, records
from tests.run.journal_text import journal_text

PROGRAM = Path(__file__).parent / "oauth_login.py"


@pytest.fixture
async def bearer_world(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose `prod-replica` asks for a bearer token, and `write-target` for a password."""

    def place(**more: str) -> dict[str, object]:
        where = {"host": str(database.socket_dir), "port": database.port, "database": database.database}
        return {**where, "user": database.user, "password": {"file": str(tmp_path / "reader-secret")}, **more}

    connections = {"prod-replica": place(authentication="oauthbearer"), "write-target": place()}
    async with open_world(database, tmp_path, config={"connections": connections}) as world:
        yield world


async def log_in(world: World, token: str, issuer: str) -> dict[str, object]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM),
        f"{world.conninfo('reader')} require_auth=oauth oauth_issuer={issuer} oauth_client_id=an-agent",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment | {"PGOAUTHDEBUG": "UNSAFE"},  # the emulator's issuer is http
    )  # fmt: skip
    out, err = await process.communicate(token.encode())
    assert process.returncode == 0, err.decode()
    said: dict[str, object] = json.loads(out.decode().splitlines()[-1])
    return said


def issuer_of(world: World) -> str:
    return f"{world.emulator.url}/{world.emulator.tenant}/v2.0"


async def test_libpq_learns_where_to_get_a_token_and_logs_in(bearer_world: World) -> None:
    world = bearer_world
    said = await log_in(world, await world.token(add_reader(world)), issuer_of(world))
    assert "error" not in said
    assert str(said["policy"]).startswith("reader ")
    assert said["asked"] == [
        {
            "openid_configuration": f"{issuer_of(world)}/.well-known/openid-configuration",
            "scope": f"{world.emulator.audience}/.default",
        }
    ]
    assert [r["reference"] for r in records(world, "login.refused")] == ["discovery"]
    assert len(records(world, "session.opened")) == 1


async def test_libpq_that_knows_the_issuer_sends_its_token_at_once(bearer_world: World) -> None:
    world = bearer_world
    well_known = f"{issuer_of(world)}/.well-known/openid-configuration"
    said = await log_in(world, await world.token(add_reader(world)), well_known)
    assert str(said["policy"]).startswith("reader ")
    assert records(world, "login.refused") == []


@pytest.mark.parametrize("token", ["not-a-token", "a" * 20_000])
async def test_a_bad_bearer_token_is_refused_like_a_bad_password(bearer_world: World, token: str) -> None:
    world = bearer_world
    said = await log_in(world, token, f"{issuer_of(world)}/.well-known/openid-configuration")
    assert "access token was not accepted" in str(said["error"])
    [refused] = records(world, "login.refused")
    assert refused["sqlstate"] == "28P01"
    assert token[:12] not in journal_text(world.journal)


async def test_a_client_that_can_only_give_a_password_is_told_by_its_own_library(bearer_world: World) -> None:
    world = bearer_world
    with pytest.raises(psycopg.OperationalError, match=r"(?i)oauth"):
        await connect_psycopg(world, await world.token(add_reader(world)), "reader")
