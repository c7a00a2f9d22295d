"""Sessions that are open when a part is killed: some sleep in a statement, some would not notice that it is gone.

And those of a window that is over soon: their agents go on for as long as they are let. Decides which backends are
whose; does not know what is killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import asyncpg
import psycopg

from tests.docker.balanced_nodes import BRIEFS, BalancedWorld, Connection
from tests.e2e.worlds import add_breaker, add_member, add_reader
from tests.run.waiting import until_it_holds

__all__ = ["BriefWindow", "HeldSession", "hold_sessions", "until_gone"]

_ALIVE = """
SELECT count(*) FROM pg_stat_activity
WHERE (pid, backend_start) IN (SELECT * FROM unnest($1::int[], $2::timestamptz[]))
"""
_BEGAN = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = ANY($1)"
_SLEEP = b"SELECT pg_sleep(600) AS t5x1x"


@dataclass(frozen=True)
class HeldSession:
    """`worker`: the name of the one that has it (`pgjit-1.2`). `deaf`: its backend does not look for its client."""

    connection: Connection
    worker: str
    deaf: bool
    running: asyncio.Task[str]

    @property
    def pid(self) -> int:
        return self.connection.info.backend_pid

    async def close(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await self.connection.close()


async def hold_sessions(world: BalancedWorld, observer: asyncpg.Connection) -> list[HeldSession]:
    """Open sessions of both sorts at every worker of both nodes, each with a statement that runs."""
    reader, breaker = await world.token(add_reader(world)), await world.token(add_breaker(world))
    held: list[HeldSession] = []
    wanted = {
        (f"{node.server}.{number}", deaf) for node in world.nodes for number in (1, 2) for deaf in (False, True)
    }

    async def one_more(deaf: bool) -> None:
        connection = (
            await world.connect(breaker, "full", "write-target") if deaf else await world.connect(reader, "reader")
        )
        pid = connection.info.backend_pid
        [worker] = [each["node"] for each in world.records("session.opened") if each["backend_pid"] == pid][-1:]
        if (worker, deaf) not in wanted - {(each.worker, each.deaf) for each in held}:
            await connection.close()
            return
        if deaf:
            await connection.execute("SET client_connection_check_interval = 0")
        held.append(HeldSession(connection, worker, deaf, asyncio.create_task(_runs_on(connection))))

    async with asyncio.timeout(240):
        while missing := wanted - {(each.worker, each.deaf) for each in held}:
            for deaf in {deaf for _, deaf in missing}:
                await one_more(deaf)

    async def all_run() -> bool:
        pids = [each.pid for each in held]
        count = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1) AND state = 'active'"
        return bool(await observer.fetchval(count, pids) == len(pids))

    await until_it_holds(all_run)
    return held


async def _runs_on(connection: Connection) -> str:
    """The error with which its session ended."""
    try:
        await connection.execute(_SLEEP)
    except psycopg.OperationalError as error:
        return " ".join(str(error).split())
    return "it has slept for ten minutes"


async def until_gone(observer: asyncpg.Connection, pids: Collection[int], seconds: float) -> None:
    """None of these backends, which run now or have ended already, runs any more; TimeoutError after so long."""
    rows = await observer.fetch(_BEGAN, list(pids))
    identified = [row["pid"] for row in rows], [row["backend_start"] for row in rows]

    async def gone() -> bool:
        return bool(await observer.fetchval(_ALIVE, *identified) == 0)

    await until_it_holds(gone, seconds)


class BriefWindow:
    """Agents of one identity that send statements until their sessions end, and then connect again."""

    def __init__(self, world: BalancedWorld, token: str, sessions: Iterable[Connection]) -> None:
        self._world, self._token = world, token
        self._agents = [asyncio.create_task(_goes_on(each)) for each in sessions]

    @classmethod
    async def open(cls, world: BalancedWorld) -> BriefWindow:
        token = await world.token(add_member(world, BRIEFS))
        return cls(world, token, [await world.connect(token, "brief") for _ in range(4)])

    async def over(self, seconds: float) -> list[str]:
        """The errors with which its sessions ended. TimeoutError if one has not."""
        async with asyncio.timeout(seconds):
            return list(await asyncio.gather(*self._agents))

    async def refusal(self) -> str:
        """The error of a login under it now; empty if it is let in."""
        try:
            await (await self._world.connect(self._token, "brief")).close()
        except psycopg.OperationalError as error:
            return " ".join(str(error).split())
        return ""

    async def close(self) -> None:
        for each in self._agents:
            each.cancel()
        await asyncio.gather(*self._agents, return_exceptions=True)


async def _goes_on(connection: Connection) -> str:
    try:
        while True:
            await connection.execute(b"SELECT pg_sleep(0.2)::text AS t4x1x")
    except psycopg.OperationalError as error:
        return " ".join(str(error).split())
    finally:
        await connection.close()
