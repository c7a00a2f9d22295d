"""Two nodes with two workers each, on one PostgreSQL store, behind HAProxy, which sends the PROXY protocol.

Each part is of processes that can be stopped, killed and started again. Decides what the nodes have in common and
what each has alone; does not know what clients do.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import ssl
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.docker.balancer import Balancer, Place, lasting_port
from tests.docker.killable_store import KillableStore
from tests.e2e.worlds import POLICIES, open_world
from tests.run.journal_text import journal_records
from tests.run.processes import own_async
from tests.run.programs import need

__all__ = ["ADMINS", "BRIEFS", "BUDGET", "SPENDERS", "BalancedWorld", "Connection", "ServedNode", "balanced"]

ADMINS = "a0000000-0000-4000-8000-0000000000ad"
SPENDERS = "66666666-6666-4666-8666-666666666666"
BRIEFS = "77777777-7777-4777-8777-777777777777"
BUDGET = 150
BRIEF_SECONDS = 40
_LOCAL = "127.0.0.1"
_SECONDS = 180
# The balancer probes each second, and needs two answers: a busy machine takes some seconds for each.
_LIMITS = {"drain_delay_seconds": 10, "drain_seconds": 5, "connections_per_address": 400, "sessions_per_identity": 40}

Connection = psycopg.AsyncConnection[tuple[object, ...]]


@dataclass
class ServedNode:
    """`pgjit serve` with two workers, in a process group of its own while it runs."""

    server: str  # its name in HAProxy
    config: Path
    place: Place
    journal: Path
    log: Path
    process: Process | None = None
    _owned: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Returns when every worker has served for the first time."""
        command = (sys.executable, "-m", "pgjit", "serve", "--config", self.config, "--json")
        with self.log.open("a") as errors:
            self.process = await self._owned.enter_async_context(own_async(*command, stderr=errors.fileno()))
        assert self.process.stdout is not None
        async with asyncio.timeout(_SECONDS):
            line = await self.process.stdout.readline()
            if not line:
                status = await self.process.wait()
                raise AssertionError(f"{self.server} ended with status {status}:\n{self.log.read_text()[-5000:]}")
        assert json.loads(line)["listen"].endswith(f":{self.place.port}")

    async def stop(self) -> None:
        """Stop it in order, as a service manager does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        status = await self.ended()
        assert status == 0, self.log.read_text()[-5000:]

    async def ended(self) -> int:
        """Its exit status. What is left of its process group is killed."""
        assert self.process is not None
        async with asyncio.timeout(_SECONDS):
            status = await self.process.wait()
        await self._owned.aclose()
        self.process = None
        return status

    async def kill(self) -> None:
        """All of its processes at once."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        assert await self.ended() == -signal.SIGKILL

    async def kill_supervisor(self) -> None:
        """That process alone: its workers end by themselves, which the caller waits for before `ended`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)

    async def end(self) -> None:
        if self.process is not None:
            await self._owned.aclose()

    async def page(self, path: str) -> tuple[int, str]:
        async with httpx.AsyncClient(timeout=60) as client:
            response = await client.get(f"http://{_LOCAL}:{self.place.admin}{path}")
        return response.status_code, response.text

    async def ready(self) -> bool:
        return (await self.page("/readyz"))[0] == 200

    async def workers(self) -> dict[str, int]:
        """The process of each worker that serves, by its name."""
        report = json.loads((await self.page("/readyz"))[1])["workers"]
        return {name: each["process"] for name, each in report.items() if each["state"] == "serving"}

    def records(self, *kinds: str) -> list[dict[str, Any]]:
        """The records of all its workers that are of these kinds; all records by default."""
        folders = [each.parent for each in sorted(self.journal.glob("*/origin"))]
        records = [record for folder in folders for record in journal_records(folder)]
        return [each for each in records if not kinds or each["type"] in kinds]


class BalancedWorld(World):
    """Its emulator serves in this process. Nodes and HAProxy are started by `balanced`."""

    nodes: tuple[ServedNode, ServedNode]
    balancer: Balancer
    _haproxy: AsyncExitStack

    @asynccontextmanager
    async def _run_proxy(self) -> AsyncIterator[None]:
        self._copy_policies()
        self.config_file = self._write_config()
        first, second = (self._node(number) for number in (1, 2))
        self.nodes = first, second
        self.balancer = Balancer(self.folder, [first.place, second.place])
        self._haproxy = AsyncExitStack()
        async with AsyncExitStack() as running:
            for node in self.nodes:
                running.push_async_callback(node.end)
            running.push_async_callback(self._haproxy.aclose)
            await self.start_balancer()
            await asyncio.gather(*(node.start() for node in self.nodes))
            await self.balancer.until_up()
            yield

    def _node(self, number: int) -> ServedNode:
        server = f"pgjit-{number}"
        place = Place(lasting_port(), lasting_port(), lasting_port())
        content = yaml.safe_load(self.config_file.read_text())
        content |= {
            "node": server,
            "listen": {"host": _LOCAL, "port": place.port, "proxy_protocol": {"from": _LOCAL}},
            "admin": {"host": _LOCAL, "port": place.admin},
            "journal": {"folder": f"{server}-journal"},
        }
        content["api"]["listen"] = {"port": place.api}
        config = self.folder / f"{server}.yaml"
        config.write_text(yaml.safe_dump(content))
        return ServedNode(server, config, place, self.folder / f"{server}-journal", self.folder / f"{server}.log")

    # --- HAProxy ---------------------------------------------------------------------------------------

    async def start_balancer(self) -> None:
        [haproxy] = need("haproxy")
        with (self.folder / "haproxy.log").open("a") as log:
            self._process = await self._haproxy.enter_async_context(
                own_async(haproxy, "-db", "-f", self.balancer.configuration, stdout=log.fileno(), stderr=log.fileno())
            )

    async def kill_balancer(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        await self._haproxy.aclose()

    # --- for clients -----------------------------------------------------------------------------------

    def conninfo(self, policy: str, connection: str = "prod-replica") -> str:
        return (
            f"host=localhost hostaddr={_LOCAL} port={self.balancer.port} dbname={connection} user={policy} "
            f"sslmode=verify-full sslrootcert={self.certificates.authority} connect_timeout=60"
        )

    async def connect(self, token: str, policy: str, connection: str = "prod-replica") -> Connection:
        return await psycopg.AsyncConnection.connect(
            self.conninfo(policy, connection), password=token, autocommit=True
        )

    def api_of(self, node: ServedNode, token: str) -> httpx.AsyncClient:
        trust = ssl.create_default_context(cafile=str(self.certificates.authority))
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(
            base_url=f"https://localhost:{node.place.api}/api/v1/", headers=headers, verify=trust, timeout=60
        )

    def records(self, *kinds: str) -> list[dict[str, Any]]:
        return [record for node in self.nodes for record in node.records(*kinds)]

    async def stop_nodes(self) -> None:
        await asyncio.gather(*(node.stop() for node in self.nodes))


def _policies(folder: Path) -> Path:
    """Those of all tests, one with a budget, and one whose windows are short."""
    given = folder / "given"
    shutil.copytree(POLICIES, given)
    common: dict[str, object] = {"connection": "prod-replica", "grant": "on-request", "record": True}
    read_only: dict[str, object] = {"access": "read-only", "allow": [{"function": "pg_sleep"}]}
    more: Iterable[dict[str, object]] = (
        {"policy": "spender", "group": SPENDERS, "ttl": "30m", "limits": {"window_statements": BUDGET}},
        {"policy": "brief", "group": BRIEFS, "ttl": f"{BRIEF_SECONDS}s", "cooldown": "2h"},
    )
    for policy in more:
        text = yaml.safe_dump(common | policy | {"statements": read_only}, sort_keys=False)
        (given / f"{policy['policy']}.yaml").write_text(text)
    return given


@asynccontextmanager
async def balanced(database: DemoDatabase, folder: Path, store: KillableStore) -> AsyncIterator[BalancedWorld]:
    """Both nodes serve, and HAProxy has found both."""
    need("haproxy")
    config = {
        "workers": 2,
        "store": {"kind": "postgres", "url": store.url(), "stale_after": 15},
        "api": {"roles": {"admin": ADMINS}},
        "limits": _LIMITS,
    }
    policies = _policies(folder)
    async with open_world(database, folder, config=config, kind=BalancedWorld, policies=policies) as world:
        assert isinstance(world, BalancedWorld)
        yield world
