"""A world whose proxy is `pgjit serve` with two workers, in processes of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.worlds import POLICIES, open_world
from tests.fakes.store_server import StoreServer
from tests.run.journal_text import journal_records
from tests.run.processes import own_async
from tests.run.waiting import until_it_holds

__all__ = ["ADMINS", "Connection", "WorkersWorld", "open_workers"]

ADMINS = "a0000000-0000-4000-8000-0000000000ad"
Connection = psycopg.AsyncConnection[tuple[object, ...]]


class WorkersWorld(World):
    """Node `a`. `served` begins and ends its processes."""

    process: Process
    places: Mapping[str, Any]

    @asynccontextmanager
    async def _run_proxy(self) -> AsyncIterator[None]:
        self._copy_policies()
        self.config_file = self._write_config()
        yield

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Process]:
        """By processes that are killed in the end, where they are still there."""
        command = (sys.executable, "-m", "pgjit", "serve", "--config", self.config_file, "--json")
        with (self.folder / "serve.log").open("a") as errors:
            async with own_async(*command, stderr=errors.fileno()) as self.process:
                assert self.process.stdout is not None
                line = await self.process.stdout.readline()
                if not line:
                    raise AssertionError(self.log)
                self.places = json.loads(line)
                await until_it_holds(self.ready)
                yield self.process

    @property
    def log(self) -> str:
        return (self.folder / "serve.log").read_text()

    async def ready(self) -> bool:
        return (await self.page("/readyz"))[0] == 200

    async def page(self, path: str) -> tuple[int, str]:
        async with httpx.AsyncClient(timeout=60) as client:
            response = await client.get(f"{self.places['admin']}{path}")
        return response.status_code, response.text

    async def workers(self) -> dict[str, int]:
        """The process of each worker that serves, by its name."""
        report = json.loads((await self.page("/readyz"))[1])["workers"]
        return {name: each["process"] for name, each in report.items() if each["state"] == "serving"}

    def api(self, token: str) -> httpx.AsyncClient:
        """One connection, and so one worker."""
        trust = ssl.create_default_context(cafile=str(self.certificates.authority))
        url = f"https://localhost:{self.places['api'].rsplit(':', 1)[1]}/api/v1/"
        return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, verify=trust, timeout=60)

    def conninfo(self, policy: str, connection: str = "prod-replica") -> str:
        port = self.places["listen"].rsplit(":", 1)[1]
        return (
            f"host=localhost port={port} dbname={connection} user={policy} "
            f"sslmode=verify-full sslrootcert={self.certificates.authority}"
        )

    async def connect(self, token: str, policy: str, connection: str = "prod-replica") -> Connection:
        return await psycopg.AsyncConnection.connect(
            self.conninfo(policy, connection), password=token, autocommit=True
        )

    async def connected(self, token: str, policy: str, connection: str = "prod-replica") -> Connection:
        """The first connection: keys may not be fetched yet."""

        async def tried() -> Connection | None:
            try:
                return await self.connect(token, policy, connection)
            except psycopg.OperationalError:
                return None

        found = await until_it_holds(tried)
        assert found is not None
        return found

    async def stop(self) -> int:
        """In order; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(90):
            return await self.process.wait()

    def records(self, kind: str) -> dict[str, list[Any]]:
        """The records of each worker's journal, by the worker's name."""
        folders = [each.parent for each in sorted(self.journal.glob("*/origin"))]
        return {folder.name: [each for each in journal_records(folder) if each["type"] == kind] for folder in folders}

    def records_of_all(self, kind: str) -> list[Any]:
        return [each for records in self.records(kind).values() for each in records]


@asynccontextmanager
async def open_workers(
    database: DemoDatabase, folder: Path, store: StoreServer, *, policies: Path = POLICIES, **sections: object
) -> AsyncIterator[WorkersWorld]:
    """Nothing is served yet. `sections` replace those of the configuration."""
    config = {
        "node": "a",
        "workers": 2,
        "store": {"kind": "postgres", "url": store.url(), "stale_after": 30},
        "api": {"roles": {"admin": ADMINS}},
        **sections,
    }
    async with open_world(database, folder, config=config, kind=WorkersWorld, policies=policies) as world:
        assert isinstance(world, WorkersWorld)
        yield world
