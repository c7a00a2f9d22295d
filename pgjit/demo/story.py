"""The story that `pgjit demo` plays with the real psql: steps, each with its expected result.

Decides the steps and how they are printed. The story fails if a step does not have its expected result.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import jwt
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from pgjit.demo.emulator import AppCredentials
from pgjit.demo.world import SCHEMA_CHECKS, World

__all__ = ["Story", "journal_table"]

Record = dict[str, object]

POLICY = "jit-schema-checks"
LONG_QUERY = "SELECT count(*) FROM order_lines a, order_lines b, order_lines c"


@dataclass(slots=True)
class Story:
    world: World
    console: Console
    failures: list[str] = field(default_factory=list)
    _step: int = 0

    async def play(self) -> bool:
        """True if every step had its expected result."""
        agent = self.world.emulator.add_app("schema-check-agent", groups=[SCHEMA_CHECKS])
        token = await self._get_token(agent)
        await self._look_around(token)
        await self._refusals(token)
        await self._end_of_window(token)
        await self._next_connection(token)
        self._journal()
        return not self.failures

    # --- the steps -------------------------------------------------------------------------------------

    async def _get_token(self, agent: AppCredentials) -> str:
        self._title(
            "An agent gets an access token",
            "From the identity provider, as any app does: client credentials.",
        )
        token = await self.world.token(agent)
        claims = jwt.decode(token, options={"verify_signature": False})
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        self.console.print(
            f"  a token of {len(token)} bytes for app [bold]{agent.oid}[/], member of group "
            f"{claims['groups'][0]} (`jit-schema-checks`), valid until {expires:%H:%M} UTC"
        )
        self._expect("the token names the group", SCHEMA_CHECKS in claims["groups"])
        return token

    async def _look_around(self, token: str) -> None:
        self._title(
            "It connects with psql, the token as its password",
            "Connecting opens the window: its end is fixed now.",
        )
        text = await self._psql(token, "SHOW pgjit.window", "SHOW pgjit.identity")
        self._expect("it can read its window", "pgjit.window" in text and "ERROR" not in text)
        self._title("It reads the schema", "psql's own \\d works: its catalog queries are judged like any other.")
        text = await self._psql(token, "\\d orders")
        self._expect("the columns are listed", "customer_id" in text)
        self._title("It asks for an aggregate", "Rows come straight from the server.")
        text = await self._psql(
            token,
            "SELECT date_trunc('month', o.ordered_at)::date AS month, count(*) AS orders, "
            "round(sum(l.quantity * l.unit_price)) AS revenue FROM orders o JOIN order_lines l ON l.order_id = o.id "
            "GROUP BY 1 ORDER BY 1 DESC LIMIT 4",
        )
        self._expect("four months are answered", "(4 rows)" in text)

    async def _refusals(self, token: str) -> None:
        self._title(
            "It tries to write",
            "Refused by the syntax tree, before the database sees it. The session lives on.",
        )
        text = await self._psql(
            token, "UPDATE customers SET email = 'x@example.com'", "SELECT 'still here' AS session"
        )
        self._expect(
            "the update is refused with detail and hint",
            all(w in text for w in ("ERROR:", "DETAIL:", "HINT:")),
        )
        self._expect("the session is alive after it", "still here" in text)
        self._title("It hides the write in a WITH", "A read on the outside, a DELETE within.")
        text = await self._psql(token, "WITH gone AS (DELETE FROM payments RETURNING *) SELECT count(*) FROM gone")
        self._expect("the hidden delete is refused", "ERROR:" in text and "(1 row)" not in text)
        left = await self._ask("SELECT count(*) FROM payments")
        self._expect("nothing was deleted", isinstance(left, int) and left > 0)
        self._title("It asks how long it may stay")
        text = await self._psql(token, "SHOW pgjit.remaining")
        self._expect("it can read the time that is left", "0:00:" in text)

    async def _end_of_window(self, token: str) -> None:
        self._title(
            "A long query is running when the window ends", "A join without a condition: it would take hours."
        )
        running = asyncio.create_task(self._psql(token, LONG_QUERY))
        pid = await self._wait_for_backend()
        self.console.print(f"  pg_stat_activity: backend {pid} is running it")
        text = await running
        over = datetime.now(UTC)
        left = await self._ask("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid)
        self.console.print(f"  pg_stat_activity at {over:%H:%M:%S} UTC: backend {pid} is [bold]gone[/]")
        self._expect("the query was cancelled", "canceling statement" in text)
        self._expect("the session was ended", "is over" in text)
        self._expect("the backend is gone", left == 0)

    async def _next_connection(self, token: str) -> None:
        self._title("It connects again at once", "The token is still good. The window is not.")
        text = await self._psql(token, "SELECT 1")
        self._expect(
            "it is refused, and the error says from when it may connect again",
            "new window may be requested from" in text,
        )

    def _journal(self) -> None:
        self._title("The journal of all this", "One record before each execution, one for its outcome; joined here.")
        executions, outcomes, ends = _read_journal(self.world.journal)
        self.console.print(journal_table(executions, outcomes))
        proofs = [end["proof"] for end in ends if end.get("proof")]
        for proof in proofs:
            self.console.print(f"  proof of the end: {json.dumps(proof)}", markup=False, highlight=False)
        self._expect("every execution has its outcome", all(str(e["execution"]) in outcomes for e in executions))
        self._expect("the two refused statements are there", sum(e["decision"] == "deny" for e in executions) == 2)
        self._expect(
            "the proof says that the backend is gone",
            any(isinstance(proof, dict) and proof["gone"] for proof in proofs),
        )

    # --- printing --------------------------------------------------------------------------------------

    def _title(self, title: str, why: str = "") -> None:
        self._step += 1
        text = f"[bold]{self._step}. {title}[/]" + (f"\n[dim]{escape(why)}[/]" if why else "")
        self.console.print()
        self.console.print(Panel(text, expand=False, border_style="cyan"))

    def _expect(self, result: str, met: bool) -> None:
        self.console.print(f"  [green]✓[/] {result}" if met else f"  [bold red]✗ failed: {result}[/]")
        if not met:
            self.failures.append(result)

    async def _psql(self, token: str, *commands: str) -> str:
        for command in commands:
            self.console.print(f"  [bold blue]{POLICY}=>[/] {escape(command)}")
        text = await self.run_psql(token, *commands)
        for line in text.splitlines():
            self.console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
        return text

    async def run_psql(self, token: str, *commands: str) -> str:
        """The real psql with a clean environment, on a connection of its own."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        environment |= {"PGPASSWORD": token, "PGCONNECT_TIMEOUT": "15", "PAGER": ""}
        arguments = [part for command in commands for part in ("-c", command)]
        process = await asyncio.create_subprocess_exec(
            str(self.world.psql), "-X", "-P", "pager=off", *arguments, self.world.conninfo(POLICY),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=environment,
        )  # fmt: skip
        text, _ = await process.communicate()
        return text.decode()

    async def _ask(self, sql: str, *arguments: object) -> object:
        """Query the database directly, as its administrator: what pgjit reports about itself is no proof."""
        import asyncpg  # part of the extra `demo`; if that is missing, DemoDatabase has reported it before

        database = self.world.database
        connection = await asyncpg.connect(
            host=str(database.socket_dir), port=database.port, user="postgres", database=database.database
        )
        try:
            return await connection.fetchval(sql, *arguments)
        finally:
            await connection.close()

    async def _wait_for_backend(self) -> int:
        sql = "SELECT pid FROM pg_stat_activity WHERE query = $1 AND state = 'active'"
        return await _until(lambda: self._ask(sql, LONG_QUERY))


def journal_table(executions: Sequence[Record], outcomes: Mapping[str, Record]) -> Table:
    """One line for each execution. The statement is cut to the width of the terminal."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", expand=True)
    for column, right in (
        ("time", False),
        ("pid", True),
        ("", False),
        ("ended", False),
        ("rows", True),
        ("ms", True),
    ):
        table.add_column(column, no_wrap=True, overflow="fold", justify="right" if right else "left")
    table.add_column("statement", no_wrap=True, overflow="ellipsis", ratio=1)
    for execution in executions:
        outcome = outcomes.get(str(execution["execution"]), {})
        denied = execution["decision"] == "deny"
        table.add_row(
            str(execution["time"])[11:19],
            str(execution["backend_pid"]),
            "[red]deny[/]" if denied else "[green]allow[/]",
            str(outcome.get("ended", "?")),
            str(outcome.get("rows", "?")),
            str(int(str(outcome.get("duration_us", 0))) // 1000),
            escape(" ".join(str(execution["statement"]).split())),
        )
    return table


async def _until(ask: Callable[[], Awaitable[object]]) -> int:
    for _ in range(200):
        value = await ask()
        if isinstance(value, int):
            return value
        await asyncio.sleep(0.05)
    raise TimeoutError("the long query was not seen running")


def _read_journal(path: Path) -> tuple[list[Record], dict[str, Record], list[Record]]:
    """Executions in order, outcomes by execution, and the ends of sessions."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    executions = [record for record in records if record["type"] == "execution"]
    outcomes = {record["execution"]: record for record in records if record["type"] == "outcome"}
    return executions, outcomes, [record for record in records if record["type"] == "session.ended"]
