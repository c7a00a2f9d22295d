"""`pgjit serve` in a process of its own, for tests that kill it."""

from __future__ import annotations

import json
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psycopg

from pgjit.demo.world import World
from tests.run.processes import own_async
from tests.run.waiting import until_it_holds

__all__ = ["PgjitElsewhere"]

Connection = psycopg.AsyncConnection[tuple[object, ...]]


class PgjitElsewhere:
    """The world's configuration served by a process of its own, on another port and other files."""

    def __init__(self, world: World, name: str) -> None:
        text = world.config_file.read_text()
        for key, place in (("path", "pgjit.sqlite3"), ("folder", "journal")):
            text = text.replace(f"{key}: {place}", f"{key}: {name}-{place}")
        self.config = world.folder / f"{name}.yaml"
        self.config.write_text(text)
        self.journal = world.folder / f"{name}-journal"
        self.port = 0

    def cut_ttl(self, world: World) -> timedelta:
        """From the next start on, windows of writers are as short as they may be."""
        policy = world.folder / "policies" / "writer.yaml"
        policy.write_text(policy.read_text().replace("ttl: 30m", "ttl: 1s"))
        return timedelta(seconds=1)

    @asynccontextmanager
    async def served(
        self, *before: str, env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
    ) -> AsyncIterator[Process]:
        """By a process that is killed in the end, where it is still there. `before`: a program that starts it."""
        command: tuple[str | Path, ...] = (
            *before,
            sys.executable,
            "-m",
            "pgjit",
            "serve",
            "--config",
            self.config,
            "--json",
        )
        async with own_async(*command, env=env, pass_fds=pass_fds) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            line = await process.stdout.readline()
            if not line:
                raise AssertionError((await process.stderr.read()).decode())
            self.port = int(json.loads(line)["listen"].rsplit(":", 1)[1])
            yield process

    async def connect(self, world: World, token: str, policy: str, connection: str) -> Connection:
        conninfo = world.conninfo(policy, connection).replace(f"port={world.app.port}", f"port={self.port}")

        async def connected() -> Connection | None:
            try:
                return await psycopg.AsyncConnection.connect(conninfo, password=token, autocommit=True)
            except psycopg.OperationalError as refused:
                if "keys" not in str(refused):
                    raise
                return None  # ready once the key set was fetched

        found = await until_it_holds(connected)
        assert found is not None
        return found
