"""Two nodes of pgjit in this process, on one PostgreSQL store, in front of one database."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import yaml

from pgjit.app import App
from pgjit.clock import Clock
from pgjit.config import load_config
from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import AppCredentials
from pgjit.demo.world import World
from tests.e2e.worlds import POLICIES, Record, open_world
from tests.fakes.store_server import StoreServer
from tests.run.journal_text import journal_lines

__all__ = ["BUDGET", "BYTES", "ROWS", "Fleet", "fleet"]

BUDGET, ROWS, BYTES = 50, 1000, 200_000


@dataclass(slots=True)
class Fleet:
    world: World
    second: App

    @property
    def nodes(self) -> tuple[App, App]:
        return self.world.app, self.second

    async def connect(self, node: App, agent: AppCredentials) -> psycopg.AsyncConnection:
        place = self.world.conninfo("reader").replace(f"port={self.world.app.port}", f"port={node.port}")
        password = await self.world.token(agent)
        return await psycopg.AsyncConnection.connect(place, password=password, autocommit=True)

    def records(self, kind: str, node: App | None = None) -> list[Record]:
        """The records of both journals, or of one node's. Outcomes that wait are written first."""
        nodes = self.nodes if node is None else (node,)
        for each in nodes:
            each._journal.write_enqueued()
        paths = [each._config.path(each._config.file.journal.folder) for each in nodes]
        lines: list[Any] = [json.loads(line) for path in paths for line in journal_lines(path)]
        return [line for line in lines if line["type"] == kind]


@asynccontextmanager
async def fleet(
    database: DemoDatabase,
    folder: Path,
    store: StoreServer,
    *,
    ttl_there: str = "30m",
    clock_there: Clock | None = None,
    listen: dict[str, object] | None = None,
    api: dict[str, object] | None = None,
    bind_to_source: bool = False,
    **second: object,
) -> AsyncIterator[Fleet]:
    """`second`: keys of the store's section on the second node."""
    policies = folder / "given"
    policies.mkdir()
    text = (POLICIES / "reader.yaml").read_text()
    limits = {"window_statements": BUDGET, "window_rows": ROWS, "window_bytes": BYTES, "sessions": 3}
    more: dict[str, object] = {"limits": limits} | ({"bind_to_source": True} if bind_to_source else {})
    (policies / "reader.yaml").write_text(text + yaml.safe_dump(more))
    place = f"postgresql://postgres@/pgjit_store?host={database.socket_dir}&port={database.port}"
    section = {"kind": "postgres", "url": place, "stale_after": 5}
    config = {"node": "one", "store": section} | ({} if listen is None else {"listen": listen})
    config |= {} if api is None else {"api": api}
    async with open_world(database, folder, config=config, policies=policies) as world:
        there = yaml.safe_load(world.config_file.read_text())
        there |= {
            "node": "two",
            "policies": "there",
            "journal": {"folder": "there-journal"},
            "store": section | second,
        }
        shutil.copytree(folder / "policies", folder / "there")
        (folder / "there" / "reader.yaml").write_text(
            (policies / "reader.yaml").read_text().replace("ttl: 30m", f"ttl: {ttl_there}")
        )
        (folder / "there.yaml").write_text(yaml.safe_dump(there))
        app = App(await asyncio.to_thread(load_config, folder / "there.yaml"))
        app._clock = clock_there or app._clock
        async with app:
            yield Fleet(world, app)
