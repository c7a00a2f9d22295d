"""A worker that has lost its supervisor opens no session, reports why, and keeps no place of a refused login."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from pgjit.app import App
from pgjit.app.worker_place import WorkerPlace
from pgjit.config import load_config
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.grants.holder import HolderKey
from pgjit.proxy.siblings import SharedAdmission, SupervisorGone
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_reader, open_world, records


class Siblings:
    """Those of a worker whose supervisor is there or not."""

    there = False

    def on_death(self, take_over: Callable[[str, str], Awaitable[None]]) -> None: ...

    async def enter(self, network: str) -> SharedAdmission:
        return SharedAdmission(accepted=True)

    def leave(self, network: str) -> None: ...

    async def take_place(self, holder: HolderKey) -> bool:
        if not self.there:
            raise SupervisorGone
        return True

    def leave_place(self, holder: HolderKey) -> None: ...

    def answer_cancels(self, cancel_here: Callable[[int, bytes], Awaitable[bool]]) -> None: ...

    async def cancel(self, pid: int, secret: bytes) -> bool:
        return False


class WorkerWorld(World):
    siblings: Siblings

    @asynccontextmanager
    async def _run_proxy(self) -> AsyncIterator[None]:
        self._copy_policies()
        self.config_file, self.siblings = self._write_config(), Siblings()
        place = WorkerPlace(siblings=self.siblings, run="r", dead=())
        self.app = App(await asyncio.to_thread(load_config, self.config_file), place=place)
        async with self.app:
            yield


async def test_a_login_is_refused_with_the_reason_and_leaves_no_place_taken(
    database: DemoDatabase, tmp_path: Path
) -> None:
    config = {"limits": {"sessions_per_identity": 1}}
    async with open_world(database, tmp_path, config=config, kind=WorkerWorld) as world:
        assert isinstance(world, WorkerWorld)
        token = await world.token(add_reader(world))
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError, match="has lost its supervisor") as refused:
                await connect_psycopg(world, token, "reader")
            assert "Connect again" in str(refused.value)
        assert [(each["reference"], each["sqlstate"]) for each in records(world, "login.refused")] == [
            ("supervisor-gone", "57P03")
        ] * 2
        for kind in ("window.opened", "session.opened"):
            assert records(world, kind) == []
        world.siblings.there = True
        async with await connect_psycopg(world, token, "reader") as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
