"""HAProxy in front of two nodes: the PROXY protocol as it sends it, health checks, and cancels at the other node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from tests.bench.ports import free_port
from tests.e2e.fleets import Fleet, fleet
from tests.e2e.worlds import add_reader, ask
from tests.fakes.store_server import StoreServer
from tests.run.processes import own_async
from tests.run.programs import find
from tests.run.waiting import until, until_it_holds

HAPROXY = find("haproxy")
pytestmark = [pytest.mark.tools, pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")]

LISTEN = {"host": "127.0.0.1", "port": 0, "proxy_protocol": {"from": "127.0.0.1"}}
CONFIG = """\
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend postgres
  bind 127.0.0.1:{port}
  default_backend pgjit
backend pgjit
  balance roundrobin
  {check}
"""
BUSY = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1"
VERSIONS = ("", " max_protocol_version=3.2 min_protocol_version=3.2")


@asynccontextmanager
async def haproxy(both: Fleet, folder: Path, options: str, check: str) -> AsyncIterator[int]:
    assert HAPROXY is not None
    port = free_port()
    servers = [
        f"  server node{number} 127.0.0.1:{node.port} {options.format(admin=node.admin_port)}"
        for number, node in enumerate(both.nodes)
    ]
    path = folder / "haproxy.cfg"
    path.write_text(CONFIG.format(port=port, check=check) + "\n".join(servers) + "\n")
    async with own_async(HAPROXY, "-db", "-q", "-f", path):

        async def listens() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await until_it_holds(listens)
        yield port


WAYS = {
    "version 1, checks of the port": ("send-proxy check inter 100ms", ""),
    "version 2, checks of the port": ("send-proxy-v2 check inter 100ms check-send-proxy", ""),
    "version 2 with a unique id and a checksum, checks of readiness": (
        "send-proxy-v2 proxy-v2-options crc32c,unique-id check port {admin} inter 100ms",
        "option httpchk GET /readyz",
    ),
}


@pytest.mark.parametrize("way", WAYS)
async def test_two_nodes_behind_haproxy(
    database: DemoDatabase, tmp_path: Path, store_server: StoreServer, way: str
) -> None:
    async with (
        fleet(database, tmp_path, store_server, listen=LISTEN) as both,
        haproxy(both, tmp_path, *WAYS[way]) as port,
    ):
        token = await both.world.token(add_reader(both.world))
        place = both.world.conninfo("reader").replace(f"port={both.world.app.port}", f"port={port}")

        async def connected(version: str) -> psycopg.AsyncConnection | None:
            try:
                return await psycopg.AsyncConnection.connect(place + version, password=token, autocommit=True)
            except psycopg.OperationalError:
                return None  # no check has succeeded yet

        for version in VERSIONS:
            found = await until_it_holds(lambda version=version: connected(version))  # type: ignore[misc]
            assert found is not None
            async with found as connection:
                for _ in range(4):  # round robin: some of them go to the other node
                    running = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
                    await until_it_holds(lambda: ask(database, BUSY, connection.info.backend_pid))
                    await connection.cancel_safe(timeout=60)
                    with pytest.raises(psycopg.errors.QueryCanceled):
                        await asyncio.wait_for(running, 60)
        counted = [int(node.telemetry.metrics.cancels.of("node").value) for node in both.nodes]
        assert sum(counted) >= 2, "some requests arrived at the other node"
        for session in both.records("session.opened"):
            balanced = session["balancer"]
            assert isinstance(balanced, dict)
            assert balanced["source"] != session["source"]
        await until(lambda: len(both.records("session.ended")) == len(both.records("session.opened")))
        assert both.records("login.refused") == [], "no health check is an event"
