"""Agents at work through the balancer, all at the same time: what they did, and what went wrong for them.

Decides what counts as a failed connection, a lost cancel request or a late revocation. A session that ends because
its node stops is none of these: its agent connects again. Does not know what happens to the nodes meanwhile.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
import httpx
import psycopg
import pytest

from pgjit.demo.client import write_program
from pgjit.demo.emulator import AppCredentials
from tests.docker.balanced_nodes import ADMINS, SPENDERS, BalancedWorld, Connection
from tests.e2e.test_http_api import add_person
from tests.e2e.worlds import add_member, add_reader, add_writer
from tests.run.processes import own_async
from tests.run.waiting import a_while, until, until_it_holds

__all__ = ["Agents"]

_SECONDS = 120  # for what has to happen at once
_PACE = 0.1  # between attempts that fail at once
_PAUSE = 1.0  # between races, each of which keeps the store busy: it refuses logins that wait for five seconds
_SLEEP = b"SELECT pg_sleep(600) AS t8x1x"
_PROBE = b"SELECT 1 AS t6x1x"
_STATE = "SELECT state = 'active' AND query LIKE '%sleep%' FROM pg_stat_activity WHERE pid = $1"
_PGBENCH = "SELECT 40 + 2 AS t9x1x;\nSELECT count(*) AS t9x2x FROM customers;\n"
_CONNECTIONS_AT_ONCE, _TRANSACTIONS = 2, 10
_SPENDERS_AT_ONCE, _REVOKED_AT_ONCE = 6, 4


class Agents:
    """`figures`: how often each thing happened. `faults`: what must not happen. Both grow while the agents work."""

    def __init__(self, world: BalancedWorld) -> None:
        self.figures: Counter[str] = Counter()
        self.faults: list[str] = []
        self.refused: list[str] = []
        self._world = world
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._admin = world.people_token(add_person(world, "ann", ADMINS))

    # --- begin and end ---------------------------------------------------------------------------------

    def begin(self, *works: Awaitable[None]) -> None:
        self._tasks += [asyncio.ensure_future(work) for work in works]

    async def more(self, **figures: int) -> None:
        """Return when each of these has happened so many times more."""
        wanted = {name: self.figures[name] + count for name, count in figures.items()}

        def done() -> bool:
            for task in self._tasks:
                if task.done():
                    task.result()
            return all(self.figures[name] >= count for name, count in wanted.items())

        try:
            await until(done, 2 * _SECONDS)
        except TimeoutError:
            raise AssertionError(f"wanted {wanted}, is {self.figures}, {self.refused[:3]}") from None

    async def stop(self) -> None:
        """Return when each has finished what it was about."""
        self._over.set()
        async with asyncio.timeout(3 * _SECONDS):
            await asyncio.gather(*self._tasks)

    async def give_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- connections -----------------------------------------------------------------------------------

    async def connected(self, token: str, policy: str, connection: str = "prod-replica") -> Connection | None:
        """None if the new connection failed, which is counted."""
        try:
            opened = await self._world.connect(token, policy, connection)
        except psycopg.OperationalError as error:
            self.figures["refused"] += 1
            self.refused.append(" ".join(str(error).split()))
            return None
        self.figures["connections"] += 1
        return opened

    async def _insist(self, token: str, policy: str) -> Connection:
        while (opened := await self.connected(token, policy)) is None:
            await a_while(_PACE)
        return opened

    async def visit(self, number: int) -> None:
        """Connect, read and write, and leave, again and again."""
        token = await self._world.token(add_writer(self._world))
        for times in itertools.count():
            if self._over.is_set():
                return
            opened = await self.connected(token, "writer", "write-target")
            if opened is None:
                await a_while(_PACE)
                continue
            try:
                await opened.execute(f"SELECT count(*) AS t{number}x{times}x FROM orders".encode())
                await opened.execute(f"INSERT INTO notes (note) VALUES ('t{number}x{times}x')".encode())
                self.figures["visits"] += 1
            except psycopg.OperationalError:
                self.figures["visits cut"] += 1
            finally:
                await opened.close()

    async def benchmark(self) -> None:
        """pgbench, which connects anew for each of its transactions, again and again."""
        folder, embedded = self._world.folder, self._world.database.bin_path / "pgbench"
        program = write_program(folder, embedded)
        if program is None:
            pytest.skip("there is no pgbench that can use TLS")
        script: Path = folder / "pgbench.sql"
        script.write_text(_PGBENCH)
        token = await self._world.token(add_reader(self._world))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        command = (
            program, "-n", "-C", "-c", str(_CONNECTIONS_AT_ONCE), "-t", str(_TRANSACTIONS), "-f", script,
            self._world.conninfo("reader"),
        )  # fmt: skip
        while not self._over.is_set():
            async with own_async(*command, env=environment | {"PGPASSWORD": token}) as process:
                async with asyncio.timeout(_SECONDS):
                    out, err = await process.communicate()
            found = re.search(rb"actually processed: (\d+)", out)
            self.figures["pgbench transactions"] += int(found[1]) if found else 0
            if process.returncode:
                await a_while(_PACE)
            for line in err.decode().splitlines():
                if "establishing connection" in line or "connection to server" in line:
                    self.refused.append(line)

    # --- cancel requests -------------------------------------------------------------------------------

    async def cancel(self) -> None:
        """Two sessions run a statement each; one is cancelled, then the other: each request reaches its own."""
        token = await self._world.token(add_reader(self._world))
        observer = await asyncpg.connect(self._world.database.superuser_dsn)
        try:
            while not self._over.is_set():
                pair = [await self._insist(token, "reader") for _ in range(2)]
                while not self._over.is_set() and await self._cancel_both(observer, pair):
                    pass
                for each in pair:
                    await each.close()
        finally:
            await observer.close()

    async def _cancel_both(self, observer: asyncpg.Connection, pair: Sequence[Connection]) -> bool:
        """False if one of the sessions has ended."""
        running = [asyncio.create_task(_outcome(each, _SLEEP)) for each in pair]
        try:
            for each, task in zip(pair, running, strict=True):
                await self._runs(observer, each, task)
            for number, each in enumerate(pair):
                if early := [
                    other for other, task in zip(pair[number:], running[number:], strict=True) if task.done()
                ]:
                    if "ran" in [await _outcome(other, _PROBE) for other in early]:
                        self.faults.append("a session was cancelled that nobody asked to cancel")
                    return False
                if not await self._cancel_one(each, running[number]):
                    return False
            return True
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _runs(self, observer: asyncpg.Connection, each: Connection, task: asyncio.Task[str]) -> None:
        """Return when its statement runs, or is over."""

        async def runs() -> bool:
            return task.done() or bool(await observer.fetchval(_STATE, each.info.backend_pid))

        await until_it_holds(runs, _SECONDS)

    async def _cancel_one(self, each: Connection, task: asyncio.Task[str]) -> bool:
        try:
            await each.cancel_safe(timeout=_SECONDS)
        except psycopg.OperationalError as error:
            if not task.done():
                self.faults.append(f"a cancel request failed: {error}")
        done = await _done(each, task)
        self.figures["cancels"] += done == "cancelled"
        if done == "timeout":
            self.faults.append("a cancel request reached nobody")
        return done == "cancelled"

    # --- budgets ---------------------------------------------------------------------------------------

    async def spend(self) -> None:
        """Several sessions of one identity race for the budget of its window, until all of it is spent."""
        while not self._over.is_set():
            token = await self._world.token(add_member(self._world, SPENDERS))
            await asyncio.gather(*(self._spend_with(token) for _ in range(_SPENDERS_AT_ONCE)))
            self.figures["budgets"] += 1
            await a_while(_PAUSE)

    async def _spend_with(self, token: str) -> None:
        while True:
            opened = await self._insist(token, "spender")
            try:
                while True:
                    await opened.execute(b"SELECT 1 AS t7x1x")
                    self.figures["spent"] += 1
            except psycopg.errors.ProgramLimitExceeded:
                return
            except psycopg.OperationalError:
                self.figures["spenders cut"] += 1
            finally:
                await opened.close()

    # --- revocations -----------------------------------------------------------------------------------

    async def revoke(self) -> None:
        """A window with several sessions is revoked, at one node or the other: all of them end, and no other one."""
        other = await self._world.token(add_reader(self._world))
        bystander = await self._insist(other, "reader")
        for times in itertools.count():
            if self._over.is_set():
                break
            agent = add_reader(self._world)
            token = await self._world.token(agent)
            opened = [await self._insist(token, "reader") for _ in range(_REVOKED_AT_ONCE)]
            running = [asyncio.create_task(_outcome(each, _SLEEP)) for each in opened]
            await self._call(times, functools.partial(_revoke, agent=agent))
            for each, task in zip(opened, running, strict=True):
                done = await _done(each, task)
                self.figures["revoked sessions"] += done == "revoked"
                if done not in ("revoked", "ended"):
                    self.faults.append(f"a session of a revoked window: {done}")
            for each in opened:
                await each.close()
            await self._stays_out(token)
            if (done := await _outcome(bystander, _PROBE)) != "ran":
                if done != "ended":
                    self.faults.append(f"a session that was not revoked: {done}")
                await bystander.close()
                bystander = await self._insist(other, "reader")
            self.figures["revocations"] += 1
        await bystander.close()

    async def _stays_out(self, token: str) -> None:
        try:
            opened = await self._world.connect(token, "reader")
        except psycopg.OperationalError as error:
            if "was revoked" not in str(error):
                self.refused.append(str(error))
            return
        await opened.close()
        self.faults.append("an identity was let in after its window was revoked")

    async def _call(self, times: int, call: Callable[[httpx.AsyncClient], Awaitable[bool]]) -> None:
        """Call the API of a node; that of the other one where the node is stopping."""
        nodes = self._world.nodes
        async with asyncio.timeout(_SECONDS):
            for number in itertools.count(times):
                try:
                    async with self._world.api_of(nodes[number % 2], self._admin) as api:
                        if await call(api):
                            return
                except httpx.TransportError:
                    self.figures["calls at the other node"] += 1
                await a_while(_PACE)


async def _revoke(api: httpx.AsyncClient, agent: AppCredentials) -> bool:
    """False if the node cannot do it now."""
    listed = await api.get("windows", params={"policy": "reader"})
    if listed.status_code >= 500:
        return False
    assert listed.status_code == 200, listed.text
    [window] = [each for each in listed.json()["items"] if each["identity"]["oid"] == agent.oid]
    if window["end_reason"] == "revoked":  # the answer was lost
        return True
    answer = await api.post(f"windows/{window['id']}/revoke", json={"reason": "a test"})
    assert answer.status_code == 200 or answer.status_code >= 500, answer.text
    return answer.status_code == 200


async def _done(session: Connection, task: asyncio.Task[str]) -> str:
    """How its statement ended. pgjit cancels what runs in a session that it ends: then that is what has happened."""
    finished, _ = await asyncio.wait({task}, timeout=_SECONDS)
    if not finished:
        return "timeout"
    if (done := task.result()) == "cancelled" and (then := await _outcome(session, _PROBE)) != "ran":
        return then
    return done


async def _outcome(session: Connection, statement: bytes) -> str:
    """`ended`: the session has, in whatever words; a node that stops closes the connection after its own."""
    try:
        await session.execute(statement)
    except psycopg.errors.QueryCanceled:
        return "cancelled"
    except psycopg.OperationalError as error:
        return "revoked" if "was revoked" in str(error) else "ended"
    return "ran"
