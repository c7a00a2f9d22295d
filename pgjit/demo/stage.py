"""What the acts of the story share: the terminal, the programs that they run, and a look at the database itself.

Decides how steps are printed and counted. A step that does not have its expected result is kept in `failures`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from pgjit.demo.world import World

__all__ = ["Stage", "until"]

_WIDTH = 76  # of a command's output, which is indented by four


@dataclass(slots=True)
class Stage:
    world: World
    console: Console
    failures: list[str] = field(default_factory=list)
    _step: int = 0

    # --- printing --------------------------------------------------------------------------------------

    def act(self, name: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{escape(name)}[/]", align="left", style="cyan")

    def title(self, title: str, why: str = "") -> None:
        self._step += 1
        text = f"[bold]{self._step}. {title}[/]" + (f"\n[dim]{escape(why)}[/]" if why else "")
        self.console.print()
        self.console.print(Panel(text, expand=False, border_style="cyan"))

    def expect(self, result: str, met: bool) -> None:
        self.console.print(f"  [green]✓[/] {result}" if met else f"  [bold red]✗ failed: {result}[/]")
        if not met:
            self.failures.append(result)

    def note(self, text: str) -> None:
        self.console.print(f"  {text}")

    def quote(self, text: str) -> None:
        """Print what a program wrote, unchanged."""
        for line in text.splitlines():
            self.console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)

    # --- programs --------------------------------------------------------------------------------------

    def show(self, policy: str, *commands: str) -> None:
        """Print the commands as psql's prompt would have them."""
        for command in commands:
            self.console.print(f"  [bold blue]{policy}=>[/] {escape(command)}")

    async def psql(self, policy: str, token: str, *commands: str) -> str:
        """Show and run `commands`, and show the result."""
        self.show(policy, *commands)
        text = await self.run_psql(policy, token, *commands)
        self.quote(text)
        return text

    async def run_psql(
        self, policy: str, token: str, *commands: str, connection: str = "prod-replica", options: str = ""
    ) -> str:
        return (await _run(*self.psql_call(policy, token, *commands, connection=connection, options=options)))[1]

    def psql_call(
        self, policy: str, token: str, *commands: str, connection: str, options: str, seconds: int = 15
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """The program with its arguments, and its settings. `seconds`: that it waits for its login."""
        settings = {"PGPASSWORD": token, "PGCONNECT_TIMEOUT": str(seconds), "PAGER": "", "PGOPTIONS": options}
        arguments = [part for command in commands for part in ("-c", command)]
        conninfo = self.world.conninfo(policy, connection)
        return (str(self.world.psql), "-X", "-P", "pager=off", *arguments, conninfo), settings

    async def lines(self, program: tuple[str, ...], settings: Mapping[str, str]) -> AsyncIterator[str]:
        """What the program prints, line by line, while it runs. It is ended when nobody reads on."""
        process = await _start(program, settings)
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                yield line.decode("utf-8", "replace").rstrip("\n")
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def pgjit(self, token: str, *arguments: str) -> str:
        """Show and run a command of pgjit as the person with this token. It has to end with exit code 0."""
        self.console.print(f"  [bold magenta]person $[/] pgjit {escape(' '.join(map(_quoted, arguments)))}")
        settings = {**self.world.api_settings, "PGJIT_TOKEN": token, "COLUMNS": str(_WIDTH)}
        code, text = await _run((sys.executable, "-m", "pgjit", *arguments), settings)
        self.quote(text)
        if code:
            self.expect(f"`pgjit {arguments[0]}` ends with exit code 0, not {code}", met=False)
        return text

    # --- the database itself ---------------------------------------------------------------------------

    async def query(self, sql: str, *arguments: object) -> object:
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

    async def backend_running(self, statement: str) -> int:
        """The process id of the backend that runs `statement`, as soon as one does."""
        sql = "SELECT pid FROM pg_stat_activity WHERE query = $1 AND state = 'active'"
        try:
            pid = await until(lambda: self.query(sql, statement))
        except TimeoutError:
            raise TimeoutError("the long query was not seen running") from None
        self.note(f"pg_stat_activity: backend {pid} is running it")
        return pid

    async def is_gone(self, pid: int) -> bool:
        """Whether the backend is gone. It may take a moment: the client's statement is cancelled before."""
        sql = "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)"
        try:
            await until(lambda: self.query(sql, pid))
        except TimeoutError:
            return False
        return True


async def _run(program: tuple[str, ...], settings: Mapping[str, str]) -> tuple[int, str]:
    process = await _start(program, settings)
    try:
        text, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, text.decode()


async def _start(program: tuple[str, ...], settings: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start it with an environment that has no setting of libpq or pgjit but `settings`."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "AZURE_"))}
    return await asyncio.create_subprocess_exec(
        *program,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**clean, **settings},
    )


def _quoted(argument: str) -> str:
    return f"'{argument}'" if " " in argument else argument


async def until(look: Callable[[], Awaitable[object]]) -> int:
    """The number that `look` returns, as soon as it does. Raises TimeoutError."""
    for _ in range(200):
        value = await look()
        if isinstance(value, int):
            return value
        await asyncio.sleep(0.05)
    raise TimeoutError
