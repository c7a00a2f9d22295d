"""A client that is cut off after any byte of its login leaves nothing behind, and is written down once."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgwire.messages.authentication import encode_password
from pgwire.messages.startup import encode_startup
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, add_writer, ask, open_world, records
from tests.fakes.scripted_client import Cut, ScriptedClient, trusting
from tests.run.waiting import until, until_it_holds

STARTUP = encode_startup({"user": "reader", "database": "prod-replica"}, minor=2)
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^pgjit [a-z2-7]{16}'"


async def log_in(client: ScriptedClient, trust: ssl.SSLContext, token: str) -> None:
    """A whole login, up to the end of what the client has to send."""
    await client.start_tls(trust)
    await client.send(STARTUP)
    await client.frames(until="R")
    await client.send(encode_password(token.encode()))


async def whole_length(world: World, token: str) -> int:
    trust = trusting(world.certificates.authority)
    async with await ScriptedClient.open(world.app.port) as client:
        await log_in(client, trust, token)
        assert (await client.frames(until="Z"))[-1] == ("Z", b"I")
        return client.sent


def ends(world: World) -> int:
    """How many connections have an end in the journal."""
    refused = sum(int(str(record["count"])) for record in records(world, "login.refused"))
    return refused + len(records(world, "session.ended"))


async def finished(world: World, count: int, *, live: int = 0) -> None:
    """Return when the journal has an end for so many connections, and the server only `live` backends of them."""

    async def left() -> bool:
        return await ask(world.database, BACKENDS) == live

    await until(lambda: ends(world) >= count)
    await until_it_holds(left)


async def test_a_login_that_is_cut_anywhere_leaves_nothing_behind(world: World) -> None:
    trust, token = trusting(world.certificates.authority), await world.token(add_reader(world))
    whole = await whole_length(world, token)
    await finished(world, 1)
    baseline = len(asyncio.all_tasks())
    # Every byte of the request and around each step's edges; a sample of what lies between.
    cuts = sorted({*range(1, 14), *range(14, whole, 41), *range(whole - 4, whole)})
    for cut in cuts:
        async with await ScriptedClient.open(world.app.port, cut_after=cut) as client:
            with pytest.raises(Cut):
                await log_in(client, trust, token)
        await asyncio.sleep(0)
    async with await ScriptedClient.open(world.app.port, cut_after=whole) as client:
        with contextlib.suppress(Cut):
            await log_in(client, trust, token)
    expected = 1 + len(cuts) + 1
    await finished(world, expected)
    assert ends(world) == expected
    assert len(records(world, "session.opened")) == len(records(world, "session.ended")) == 2
    assert len(records(world, "window.opened")) == 1  # of the two that were whole
    await until(lambda: len(asyncio.all_tasks()) <= baseline)
    async with await connect_psycopg(world, token, "reader") as connection:
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def test_sessions_of_one_identity_are_bounded_across_its_policies(
    database: DemoDatabase, tmp_path: Path
) -> None:
    limits = {"limits": {"sessions_per_identity": 2}}
    async with open_world(database, tmp_path, config=limits) as world:
        agent, other = add_reader(world), add_writer(world)
        token = await world.token(agent)
        async with await connect_psycopg(world, token, "reader") as first:
            async with await connect_psycopg(world, token, "reader"):
                with pytest.raises(psycopg.OperationalError, match="too many sessions of your identity") as refused:
                    await connect_psycopg(world, await world.token(agent), "reader")
                assert "smaller pool" in str(refused.value)
                async with await connect_psycopg(world, await world.token(other), "writer", "write-target"):
                    pass
            await finished(world, 3, live=1)
            async with await connect_psycopg(world, token, "reader"):
                pass
            assert await (await first.execute("SELECT 1")).fetchone() == (1,)
        [record] = records(world, "login.refused")
        assert (record["reference"], record["sqlstate"]) == ("too-many-sessions-of-identity", "53300")
        assert record["identity"] is not None


async def test_an_identity_without_a_place_gets_no_window(database: DemoDatabase, tmp_path: Path) -> None:
    """And logins at once cannot get past the limit together."""
    limits = {"limits": {"sessions_per_identity": 1}}
    async with open_world(database, tmp_path, config=limits) as world:
        token = await world.token(add_reader(world))
        attempts = await asyncio.gather(
            *(connect_psycopg(world, token, "reader") for _ in range(6)), return_exceptions=True
        )
        opened = [attempt for attempt in attempts if isinstance(attempt, psycopg.AsyncConnection)]
        for connection in opened:
            await connection.close()
        assert len(opened) == 1
        await finished(world, 6)
        assert {r["reference"] for r in records(world, "login.refused")} == {"too-many-sessions-of-identity"}
        assert len(records(world, "window.opened")) == 1
