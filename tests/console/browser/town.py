"""A pgjit at work, for people to look at: an embedded PostgreSQL, the emulator, agents, and people of each role.

Decides who is there and what they did before a test begins. The agents are real clients: what the pages show was
judged, recorded and proved on its way to a real server.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import patch

import psycopg

from pgjit.app import application
from pgjit.clock import Clock
from pgjit.demo import world as world_module
from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import Emulator, PrincipalKind, RegisteredPrincipal
from pgjit.demo.world import ANALYSTS, MIGRATIONS, POLICIES, REVIEWERS, SCHEMA_CHECKS, World
from tests.e2e.worlds import ask
from tests.run.waiting import until_it_holds

__all__ = ["ADMINS", "AUDITORS", "REASON", "Connection", "Town", "open_town", "play_yesterday"]

Connection = psycopg.AsyncConnection[tuple[object, ...]]

AUDITORS = "3b9ad1c5-7d55-4a0e-9a51-0f5a9c1d2e01"
ADMINS = "3b9ad1c5-7d55-4a0e-9a51-0f5a9c1d2e02"
REASON = "note on order 17, ticket OPS-4711"
LONG = "SELECT pg_sleep(3000), 'a report of all orders' AS report"

_CONFIG: dict[str, object] = {
    # A browser with several pages makes more calls than a person's limit is made for.
    "api": {"roles": {"auditor": [AUDITORS], "admin": [ADMINS]}, "requests_per_minute": 6000},
    "journal": {"folder": "journal", "checkpoint": {"every_seconds": 0.2}},
}


@dataclass
class Town:
    """`ana` reviews, `dora` is the DBA on call, `odile` audits, `nobody` has no group."""

    world: World
    ana: RegisteredPrincipal
    dora: RegisteredPrincipal
    odile: RegisteredPrincipal
    nobody: RegisteredPrincipal
    analyst: RegisteredPrincipal
    migrator: RegisteredPrincipal
    checker: RegisteredPrincipal
    running: AsyncExitStack = field(repr=False)
    _tasks: dict[Connection, asyncio.Task[psycopg.Error | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, world: World, running: AsyncExitStack) -> Town:
        directory = world.emulator.directory
        blueprint = directory.add(RegisteredPrincipal(kind=PrincipalKind.BLUEPRINT, display="shop agents"))

        def person(name: str, *groups: str) -> RegisteredPrincipal:
            return directory.add(RegisteredPrincipal(kind=PrincipalKind.USER, display=name), groups)

        ana = person("Ana", REVIEWERS)

        def agent(name: str, *groups: str) -> RegisteredPrincipal:
            made = RegisteredPrincipal(
                kind=PrincipalKind.AGENT, display=name, parent=blueprint.client_id, sponsors=(ana.oid,)
            )
            return directory.add(made, groups)

        return cls(
            world=world,
            ana=ana,
            dora=person("Dora", ADMINS),
            odile=person("Odile", AUDITORS),
            nobody=person("Nemo"),
            analyst=agent("report-agent", ANALYSTS),
            migrator=agent("migration-agent", MIGRATIONS),
            checker=agent("schema-check-agent", SCHEMA_CHECKS),
            running=running,
        )

    def new_person(self, name: str, *groups: str) -> RegisteredPrincipal:
        made = RegisteredPrincipal(kind=PrincipalKind.USER, display=name)
        return self.world.emulator.directory.add(made, groups)

    def new_agent(self, name: str, *groups: str) -> RegisteredPrincipal:
        """One more agent, for a test that ends its windows."""
        parent = self.analyst.parent
        made = RegisteredPrincipal(kind=PrincipalKind.AGENT, display=name, parent=parent, sponsors=(self.ana.oid,))
        return self.world.emulator.directory.add(made, groups)

    async def connect(
        self, agent: RegisteredPrincipal, policy: str, connection: str = "prod-replica", reason: str = ""
    ) -> Connection:
        """A session of `agent`. The caller closes it."""
        options = "-c pgjit.reason=" + reason.replace("\\", "\\\\").replace(" ", "\\ ") if reason else ""
        return await psycopg.AsyncConnection.connect(
            self.world.conninfo(policy, connection),
            password=self.world.emulator.issue(agent),
            application_name=agent.display,
            options=options,
            autocommit=True,
        )

    async def request(self, agent: RegisteredPrincipal, reason: str = REASON) -> None:
        """Ask for a window of `orders-migration`, as agents do: by connecting."""
        with suppress(psycopg.OperationalError):
            await self.connect(agent, "orders-migration", "prod-primary", reason)
            raise AssertionError("a session was opened before anybody approved it")

    async def run(self, session: Connection, *statements: str) -> None:
        """Refusals and errors are part of the story."""
        for statement in statements:
            with suppress(psycopg.Error):
                await session.execute(statement)

    async def keep_running(self, session: Connection, statement: str = LONG) -> None:
        """Have `session` run a statement that nobody would wait for, and return when the server runs it."""
        task: asyncio.Task[psycopg.Error | None] = asyncio.create_task(_outcome(session, statement))
        self._tasks[session] = task
        sql = "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active'"

        async def runs() -> object:
            assert not task.done(), task.result()
            return await ask(self.world.database, sql, statement)

        await until_it_holds(runs)

    async def outcome(self, session: Connection) -> psycopg.Error:
        """What ended the statement that was kept running: the agent's own error."""
        async with asyncio.timeout(60):
            error = await self._tasks[session]
        assert error is not None, "the statement ended by itself"
        return error

    async def live_session(self, name: str) -> Connection:
        """A session of a new agent that is open until the town is closed."""
        session = await self.connect(self.new_agent(name, SCHEMA_CHECKS), "jit-schema-checks")
        self.running.push_async_callback(session.close)
        return session

    async def play(self) -> None:
        """What happened before a test looks: reads, refusals, an error, catalog queries, a request."""
        async with await self.connect(self.analyst, "analyst-read-only", reason="weekly report") as session:
            await self.run(session, *_REPORT)
        async with await self.connect(self.checker, "jit-schema-checks", reason="nightly schema check") as session:
            await self.run(session, *_CHECKS)
        await self.request(self.migrator)
        await self.keep_running(await self.live_session("nightly-agent"))


_REPORT = (
    "SELECT country, count(*) AS customers FROM customers GROUP BY country ORDER BY 2 DESC LIMIT 20",
    "SELECT status, count(*) FROM orders GROUP BY status LIMIT 20",
    "SELECT email FROM customers LIMIT 5",
    (
        "SELECT c.country, sum(p.amount) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN payments p "
        "ON p.order_id = o.id GROUP BY 1 ORDER BY 2 DESC LIMIT 10"
    ),
    "SELECT 1 / 0 AS broken",
    "UPDATE customers SET email = 'x@example.com'",
)
_CHECKS = (
    (
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'r' "
        "AND c.relname = 'orders' AND a.attnum > 0"
    ),
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    "SELECT count(*) FROM pg_class",
    "SELECT count(*) FROM customers",
    "SELECT '<b onmouseover=alert(1)>bold</b>\u202egnp' AS text",
    "WITH gone AS (DELETE FROM payments RETURNING *) SELECT count(*) FROM gone",
)


async def _outcome(session: Connection, statement: str) -> psycopg.Error | None:
    """The error that ended the statement, or None."""
    try:
        await session.execute(statement)
    except psycopg.Error as error:
        return error
    return None


def _copied_policies(folder: Path) -> Path:
    """The example policies, with the catalog of their tests; that of schema checks also allows to sleep."""
    copies = folder / "written-policies"
    shutil.copytree(POLICIES, copies, dirs_exist_ok=True)
    sleeping = copies / "jit-schema-checks.yaml"
    sleeping.write_text(f"{sleeping.read_text().rstrip()}\n  allow:\n    - function: pg_sleep\n")
    (folder / "policies").mkdir(exist_ok=True)
    shutil.copy(POLICIES / "shop.catalog.json", folder / "policies")
    return copies


async def play_yesterday(database: DemoDatabase, folder: Path) -> None:
    """Write a day of the journal, by a whole pgjit whose clock, and whose identity provider's, is a day behind."""

    def yesterday() -> datetime:
        return datetime.now(UTC) - timedelta(days=1)

    with (
        patch.object(application, "Clock", partial(Clock, wall=yesterday)),
        patch.object(world_module, "Emulator", partial(Emulator, now=yesterday)),
    ):
        policies = _copied_policies(folder)
        async with World(folder=folder, database=database, policies=policies, config=_CONFIG) as world:
            town = Town.of(world, AsyncExitStack())
            reader = town.new_agent("yesterdays-agent", ANALYSTS)
            async with await town.connect(reader, "analyst-read-only", reason="monthly figures") as session:
                await town.run(session, "SELECT country, count(*) FROM customers GROUP BY country")
            async with await town.connect(town.checker, "jit-schema-checks") as session:
                await town.run(session, "SELECT count(*) FROM orders")


@asynccontextmanager
async def open_town(database: DemoDatabase, folder: Path, *, played: bool = True) -> AsyncIterator[Town]:
    """`played`: the story has happened when the block begins."""
    policies = _copied_policies(folder)
    async with (
        World(folder=folder, database=database, policies=policies, config=_CONFIG, console=True) as world,
        AsyncExitStack() as running,
    ):
        town = Town.of(world, running)
        if played:
            await town.play()
        try:
            yield town
        finally:
            await running.aclose()
            for task in town._tasks.values():
                task.cancel()
            await asyncio.gather(*town._tasks.values(), return_exceptions=True)
