"""Two nodes behind a balancer that sends the PROXY protocol: clients' addresses, and cancels at the other node."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable
from pathlib import Path

import psycopg
import pytest

from pgjit.app import App
from pgjit.demo.database import DemoDatabase
from pgwire.messages.query import encode_query
from pgwire.messages.startup import encode_cancel
from tests.e2e.fleets import Fleet, fleet
from tests.e2e.worlds import add_reader, ask
from tests.fakes.balancer import Balancer
from tests.fakes.scripted_client import ScriptedClient, trusting
from tests.fakes.store_server import StoreServer
from tests.run.processes import own_async
from tests.run.waiting import until, until_it_holds

SECONDS = 60
VERSIONS = {"3.0": "", "3.2": " max_protocol_version=3.2 min_protocol_version=3.2"}
BUSY = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1"
Connection = psycopg.AsyncConnection[tuple[object, ...]]
LISTEN = {"host": "127.0.0.1", "port": 0, "proxy_protocol": {"from": "127.0.0.1"}}


async def connect(both: Fleet, balancer: Balancer, node: App, token: str, version: str) -> Connection:
    balancer.node = node.port
    place = both.world.conninfo("reader").replace(f"port={both.world.app.port}", f"port={balancer.port}")
    return await psycopg.AsyncConnection.connect(place + VERSIONS[version], password=token, autocommit=True)


async def busy(database: DemoDatabase, pid: int) -> None:
    await until_it_holds(lambda: ask(database, BUSY, pid))


def found(node: App, where: str) -> int:
    return int(node.telemetry.metrics.cancels.of(where).value)


async def cancelled(running: Awaitable[object]) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        await asyncio.wait_for(running, SECONDS)


async def test_a_cancel_request_over_tls_that_arrives_at_the_other_node_reaches_its_backend(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    async with fleet(database, tmp_path, store_server, listen=LISTEN) as both, Balancer() as balancer:
        one, two = both.nodes
        token, other = await both.world.token(add_reader(both.world)), await both.world.token(add_reader(both.world))
        for version in VERSIONS:
            mine = await connect(both, balancer, one, token, version)
            theirs = await connect(both, balancer, two, other, version)
            bystander = asyncio.create_task(theirs.execute("SELECT pg_sleep(600)"))
            running = asyncio.create_task(mine.execute("SELECT pg_sleep(600)"))
            await busy(database, mine.info.backend_pid)
            before = found(two, "node")
            await mine.cancel_safe(timeout=SECONDS)  # the balancer sends it to the other node, as the last login
            await cancelled(running)
            assert found(two, "node") == before + 1, version
            assert not bystander.done()
            balancer.node = one.port
            await theirs.cancel_safe(timeout=SECONDS)
            await cancelled(bystander)
            for each in (mine, theirs):
                await each.close()
        assert both.records("login.refused") == []


async def test_a_cancel_request_in_plain_text_that_arrives_at_the_other_node_reaches_its_backend(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    async with fleet(database, tmp_path, store_server, listen=LISTEN) as both, Balancer() as balancer:
        one, two = both.nodes
        token, balancer.node = await both.world.token(add_reader(both.world)), one.port
        place = both.world.conninfo("reader").replace(f"port={both.world.app.port}", f"port={balancer.port}")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        async with own_async(
            both.world.psql, "-X", "-At", place, stdin=asyncio.subprocess.PIPE,
            env=environment | {"PGPASSWORD": token, "PGCONNECT_TIMEOUT": "60"},
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"SELECT pg_backend_pid();\nSELECT pg_sleep(600);\n")
            await busy(database, int(await asyncio.wait_for(process.stdout.readline(), SECONDS)))
            balancer.node = two.port
            process.send_signal(signal.SIGINT)
            _, err = await asyncio.wait_for(process.communicate(), SECONDS)
        assert "canceling statement due to user request" in err.decode()
        balancer.node = one.port
        async with await ScriptedClient.open(balancer.port) as client:
            await client.start_tls(trusting(both.world.certificates.authority))
            pid, secret = await client.log_in({"user": "reader", "database": "prod-replica"}, token, minor=2)
            await client.send(encode_query(b"SELECT pg_sleep(600)"))
            await busy(database, pid)
            balancer.node = two.port
            for sent in (bytes([*secret[:-1], secret[-1] ^ 1]), secret):
                async with await ScriptedClient.open(balancer.port) as cancelling:
                    await cancelling.send(encode_cancel(pid, sent))
                    assert await asyncio.wait_for(cancelling.ended(), SECONDS)
            assert "E" in [kind for kind, _ in await client.frames(until="Z")]
        assert (found(two, "node"), found(two, "unknown")) == (2, 1)
        assert both.records("login.refused") == []


async def test_the_clients_own_address_is_recorded_listed_and_bound(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer
) -> None:
    async with (
        fleet(database, tmp_path, store_server, listen=LISTEN, bind_to_source=True) as both,
        Balancer() as balancer,
    ):
        (one, two), token = both.nodes, await both.world.token(add_reader(both.world))
        here = await connect(both, balancer, one, token, "3.0")
        there = await connect(both, balancer, two, token, "3.0")
        for node in both.nodes:
            [view] = node.registry.latest_views(100)
            assert view.source.startswith("192.0.2.10:")
        [opened] = both.records("window.opened")
        assert str(opened["source"]).startswith("192.0.2.10:")
        for session in both.records("session.opened"):
            assert str(session["source"]).startswith("192.0.2.10:")
            balanced = session["balancer"]
            assert isinstance(balanced, dict)
            assert str(balanced["source"]).startswith("127.0.0.1:")
        balancer.client = "192.0.2.11"
        for node in both.nodes:
            with pytest.raises(psycopg.OperationalError, match="address"):
                await connect(both, balancer, node, token, "3.0")
        refused = both.records("login.refused")
        assert [str(each["source"]).rpartition(":")[0] for each in refused] == ["192.0.2.11"] * 2
        for each in (here, there):
            await each.close()
        await until(lambda: len(both.records("session.ended")) == 2)
