"""pgjit itself dies: the server-side belts stop the backend, and the used window is remembered."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import asyncpg
import psycopg
import pytest

from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.key_file import default_key_path, verifier_key
from pgjit.audit.proof.verification import verify
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.pgjit_elsewhere import PgjitElsewhere
from tests.e2e.worlds import add_writer, ask, change, open_world
from tests.run.journal_text import journal_lines
from tests.run.waiting import until, until_it_holds

pytestmark = pytest.mark.timeout(600)  # `pgjit serve` starts three times, each wait has its own limit

Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def _ended(process: Process) -> int | None:
    async with asyncio.timeout(60):
        await process.communicate()
    return process.returncode


async def _runs(database: DemoDatabase, pid: int) -> None:
    active = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active'"
    await until_it_holds(lambda: ask(database, active, pid))


async def test_a_kill_leaves_no_backend_and_no_second_window_and_sigterm_lets_a_statement_finish(
    database: DemoDatabase, tmp_path: Path
) -> None:
    async with open_world(database, tmp_path) as world:
        token = await world.token(add_writer(world))
        elsewhere = PgjitElsewhere(world, "killed")
        async with elsewhere.served() as process:
            connection = await elsewhere.connect(world, token, "writer", "write-target")
            pid = connection.info.backend_pid
            shown = await (await connection.execute("SHOW pgjit.window")).fetchone()
            insert = f"INSERT INTO {database.writable} (note) VALUES ('killed')"
            text = f"{insert}; SELECT pg_sleep(600); {insert}"
            running = asyncio.create_task(connection.execute(text.encode()))
            await _runs(database, pid)
            process.send_signal(signal.SIGKILL)
            # The server notices by itself that its client is gone: the statement would take ten minutes more.
            gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1"
            await until_it_holds(lambda: ask(database, gone, pid))
        with pytest.raises(psycopg.OperationalError):
            await running
        await connection.close()
        assert await ask(database, f"SELECT count(*) FROM {database.writable} WHERE note = 'killed'") == 0

        # The record of the execution was in the journal before it ran: the kill did not take it.
        statements = _of_type(elsewhere.journal, "execution")
        assert any("pg_sleep" in str(record["statement"]) for record in statements)

        async with elsewhere.served() as process:
            again = await elsewhere.connect(world, token, "writer", "write-target")
            assert await (await again.execute("SHOW pgjit.window")).fetchone() == shown
            await _drains(elsewhere, process, again, world, token)

        # The used window is over, and known to have been, when it is older than the policy lets it be.
        [opened] = _of_type(elsewhere.journal, "window.opened")
        began = datetime.fromisoformat(str(opened["time"]))
        over = began + 2 * elsewhere.cut_ttl(world)
        await until(lambda: datetime.now(UTC) > over)
        async with elsewhere.served() as process:
            await until(lambda: _of_type(elsewhere.journal, "window.ended"))
            with pytest.raises(psycopg.OperationalError, match="new window may be requested"):
                await elsewhere.connect(world, token, "writer", "write-target")
            process.send_signal(signal.SIGTERM)
            assert await _ended(process) == 0
        assert len(_of_type(elsewhere.journal, "window.opened")) == 1
        _is_proved(elsewhere.journal)


def _is_proved(journal: Path) -> None:
    """Every record of all three lives is signed: the kill lost none, and the regular stop signed the last."""
    files = JournalFiles([journal])
    key = verifier_key(str(default_key_path(journal)), str(files.origin))
    found = verify(files, key.name, [key], processes=1)
    assert found.findings == ()
    assert found.signed == found.lines


def _of_type(journal: Path, kind: str) -> list[dict[str, object]]:
    lines: Iterable[str] = journal_lines(journal)
    return [record for line in lines if (record := cast("dict[str, object]", json.loads(line)))["type"] == kind]


async def _drains(elsewhere: PgjitElsewhere, process: Process, idle: Connection, world: World, token: str) -> None:
    """SIGTERM lets a running statement finish, and ends idle sessions."""
    busy = await elsewhere.connect(world, token, "writer", "write-target")
    insert = f"INSERT INTO {world.database.writable} (note) VALUES ('finished') RETURNING note"
    async with _locked(world.database) as let_go:
        running = asyncio.create_task(busy.execute(insert.encode()))
        await _runs(world.database, busy.info.backend_pid)
        process.send_signal(signal.SIGTERM)
        # The idle one ends while the other runs on; then what that one waits for is given.
        await until(lambda: _of_type(elsewhere.journal, "session.ended"))
        assert not running.done()
        await let_go()
        assert await (await running).fetchone() == ("finished",)
        assert await _ended(process) == 0
    for connection in (idle, busy):
        with pytest.raises(psycopg.OperationalError, match="shutting down"):
            await connection.execute("SELECT 1")
        await connection.close()
    assert [record["reason"] for record in _of_type(elsewhere.journal, "session.ended")] == ["shutdown"] * 2
    assert _of_type(elsewhere.journal, "service.stopped")
    await change(world.database, f"DELETE FROM {world.database.writable} WHERE note = 'finished'")


@asynccontextmanager
async def _locked(database: DemoDatabase) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Nobody writes into the table before the function that this gives was called."""
    holder = await asyncpg.connect(database.superuser_dsn)

    async def let_go() -> None:
        await holder.execute("ROLLBACK")

    try:
        await holder.execute(f"BEGIN; LOCK {database.writable} IN EXCLUSIVE MODE")
        yield let_go
    finally:
        await holder.close()
