"""A part of two nodes behind HAProxy is killed under load: a worker, a supervisor, a node, the store, HAProxy.

What is promised whatever dies: its backends end in a bounded time, every execution is on record and journals verify,
no window gets longer, sessions of other parts go on, and when the part is back everybody is served. The figures are
printed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil
import pytest

from pgjit.demo.database import DemoDatabase
from tests.docker.agents import Agents
from tests.docker.balanced_nodes import BRIEF_SECONDS, BalancedWorld, ServedNode, balanced
from tests.docker.evidence import executions_are_recorded, journals_verify, windows_end_in_time
from tests.docker.held_sessions import BriefWindow, HeldSession, hold_sessions, until_gone
from tests.docker.killable_store import KillableStore, killable_store
from tests.e2e.server_log import logging_all
from tests.e2e.worlds import add_reader
from tests.run.waiting import until, until_it_holds

pytestmark = [pytest.mark.slow, pytest.mark.live, pytest.mark.timeout(1200)]
GONE_SECONDS = 60
"""Within so long a backend has ended whose proxy was killed: it looks for its client twice a second."""
SERVED = 12  # connections in a row, none of which fails, when a part is back
LOGINS = "SELECT count(*) FROM pg_stat_activity WHERE usename IN ($1, $2)"


@dataclass
class Scene:
    world: BalancedWorld
    store: KillableStore
    agents: Agents
    observer: asyncpg.Connection
    held: list[HeldSession]
    brief: BriefWindow
    killed_at: float = 0.0

    def of(self, *workers: str, deaf: bool | None = None) -> list[HeldSession]:
        return [each for each in self.held if each.worker in workers and deaf in (None, each.deaf)]

    def elsewhere(self, *workers: str) -> list[HeldSession]:
        return [each for each in self.held if each.worker not in workers]

    async def gone(self, sessions: Collection[HeldSession], what: str) -> None:
        await until_gone(self.observer, [each.pid for each in sessions], GONE_SECONDS)
        print(
            f"{len(sessions)} backends of {what} were gone {time.monotonic() - self.killed_at:.1f} s after the kill"
        )

    async def go_on(self, sessions: Collection[HeldSession]) -> None:
        """Their statements run still."""
        assert sessions
        assert [each.running.result() for each in sessions if each.running.done()] == []
        alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1) AND state = 'active'"
        assert await self.observer.fetchval(alive, [each.pid for each in sessions]) == len(sessions)

    async def served_again(self) -> None:
        await self.world.balancer.until_up()
        token = await self.world.token(add_reader(self.world))
        for _ in range(SERVED):
            async with await self.world.connect(token, "reader") as connection:
                await connection.execute("SELECT 1 AS t3x1x")


@asynccontextmanager
async def scene(database: DemoDatabase, folder: Path) -> AsyncIterator[Scene]:
    """Under load. At its end everything is stopped in order, and what holds whatever was killed is looked at."""
    async with (
        logging_all(database) as log,
        killable_store() as store,
        balanced(database, folder, store) as world,
    ):
        observer = await asyncpg.connect(database.superuser_dsn)
        agents = Agents(world)
        agents.begin(agents.visit(0), agents.visit(1), agents.benchmark())
        held: list[HeldSession] = []
        try:
            await agents.more(visits=10)
            held += await hold_sessions(world, observer)
            brief = await BriefWindow.open(world)
            before = store.window_ends()
            try:
                yield Scene(world, store, agents, observer, held, brief, time.monotonic())
                errors = await brief.over(BRIEF_SECONDS + GONE_SECONDS)
                await until_it_holds(lambda: _is_over(brief), BRIEF_SECONDS + GONE_SECONDS)
            finally:
                await brief.close()
            await agents.more(**{"visits": 10, "pgbench transactions": 10})
            await agents.stop()
            for each in held:
                await each.close()
            await world.stop_nodes()

            async def none_left() -> bool:
                return bool(await observer.fetchval(LOGINS, database.user, database.writer) == 0)

            await until_it_holds(none_left)
            figures = {
                **agents.figures,
                "executions": executions_are_recorded(world, log),
                "windows": windows_end_in_time(world, before, store.window_ends()),
                "ended with their window": sum("is over" in each for each in errors),
            }
            journals_verify(world)
            print(figures, *sorted(set(agents.refused)), sep="\n")
        finally:
            await agents.give_up()
            for each in held:
                await each.close()
            await observer.close()


async def test_a_worker(database: DemoDatabase, tmp_path: Path) -> None:
    async with scene(database, tmp_path) as at:
        node = at.world.nodes[0]
        before = await node.workers()
        killed = f"{node.server}.1"
        os.kill(before[killed], signal.SIGKILL)
        await at.gone(at.of(killed), "a killed worker")  # deaf ones too: another worker ends them at once
        await at.go_on(at.elsewhere(killed))

        async def replaced() -> bool:
            now = await node.workers()
            return len(now) == 2 and now[killed] != before[killed] and now[f"{node.server}.2"] in before.values()

        await until_it_holds(replaced, 120)
        await at.served_again()


async def test_a_supervisor(database: DemoDatabase, tmp_path: Path) -> None:
    async with scene(database, tmp_path) as at:
        node = at.world.nodes[0]
        workers = await node.workers()
        await node.kill_supervisor()
        await at.gone(at.of(*workers), "workers without a supervisor")
        async with asyncio.timeout(120):
            await until(lambda: not any(map(psutil.pid_exists, workers.values())), 120)
        await at.go_on(at.elsewhere(*workers))
        assert await node.ended() == -signal.SIGKILL
        assert len(node.records("service.stopped")) == 2, "they have ended in order"
        await node.start()
        await at.served_again()


async def test_a_node(database: DemoDatabase, tmp_path: Path) -> None:
    async with scene(database, tmp_path) as at:
        node = at.world.nodes[0]
        workers = await node.workers()
        await node.kill()
        await at.gone(at.of(*workers, deaf=False), "a killed node")
        await at.go_on(at.elsewhere(*workers))
        await node.start()
        await at.gone(at.of(*workers), "a killed node that is back")
        await at.served_again()
        await at.go_on(at.elsewhere(*workers))


async def test_the_store(database: DemoDatabase, tmp_path: Path) -> None:
    """Nobody is let in without it; open sessions go on, and those of a window that is over end."""
    async with scene(database, tmp_path) as at:
        await at.store.kill()
        for node in at.world.nodes:
            await until_it_holds(lambda node=node: _not_ready(node))  # type: ignore[misc]
        await until_it_holds(lambda: _nobody_up(at.world))
        assert await at.brief.refusal(), "nobody is let in"
        errors = await at.brief.over(BRIEF_SECONDS + GONE_SECONDS)
        assert all("is over" in each for each in errors), errors
        await at.go_on(at.held)
        await asyncio.to_thread(at.store.start)
        await at.served_again()
        await at.go_on(at.held)


async def test_the_balancer(database: DemoDatabase, tmp_path: Path) -> None:
    async with scene(database, tmp_path) as at:
        await at.world.kill_balancer()
        await at.gone(at.held, "sessions whose balancer was killed")
        for node in at.world.nodes:
            assert await node.ready()
        await at.world.start_balancer()
        await at.served_again()


async def _is_over(brief: BriefWindow) -> bool:
    """Where its sessions have ended early, the next ones join it until then."""
    return "window under policy `brief` is over" in await brief.refusal()


async def _not_ready(node: ServedNode) -> bool:
    status, _ = await node.page("/readyz")
    assert (await node.page("/healthz"))[0] == 200
    return status == 503


async def _nobody_up(world: BalancedWorld) -> bool:
    return not await world.balancer.up()
