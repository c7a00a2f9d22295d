"""Ways through the proxy that once were open, against a login role that may write: the proxy alone holds."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgwire.messages.query import encode_query
from pgwire.reader import message
from tests.e2e.worlds import Record, add_reader, add_writer, ask, open_world, records
from tests.fakes.scripted_client import ReceivedFrame, ScriptedClient, trusting
from tests.run.journal_text import journal_lines, journal_text
from tests.run.work import Turns

SYNC = message(b"S")
TABLE_FUNCTION = """
    CREATE OR REPLACE FUNCTION public.attack_write(t text) RETURNS int LANGUAGE plpgsql VOLATILE AS
    $$ BEGIN INSERT INTO notes (written_by, note) VALUES (1, t); RETURN 7; END $$
"""
COPY = b"COPY notes (written_by, note) FROM STDIN"


def parse(name: bytes, sql: bytes) -> bytes:
    return message(b"P", name + b"\0" + sql + b"\0" + bytes(2))


def bind(portal: bytes, name: bytes, *values: bytes) -> bytes:
    given = b"".join(struct.pack("!i", len(value)) + value for value in values)
    return message(b"B", portal + b"\0" + name + b"\0" + bytes(2) + struct.pack("!H", len(values)) + given + bytes(2))


def execute(portal: bytes = b"") -> bytes:
    return message(b"E", portal + b"\0" + bytes(4))


def close(kind: bytes, name: bytes) -> bytes:
    return message(b"C", kind + name + b"\0")


@pytest.fixture
async def loose(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    """The reader's connection logs in with the role that may write: the proxy alone has to hold."""
    place = {"host": str(database.socket_dir), "port": database.port, "database": database.database}
    login = {**place, "user": database.writer, "password": {"file": str(tmp_path / "writer-secret")}}
    await ask(database, TABLE_FUNCTION)
    again = {**login, "password": {"file": str(tmp_path / "writer-secret")}}
    config = {"connections": {"prod-replica": login, "write-target": again}}
    async with open_world(database, tmp_path, config=config) as world:
        yield world
    await ask(database, "DROP FUNCTION public.attack_write(text)")
    await ask(database, "DELETE FROM notes WHERE note LIKE 'attack%'")


async def log_in(world: World, user: str = "reader", connection: str = "prod-replica") -> ScriptedClient:
    token = await world.token(add_reader(world) if user == "reader" else add_writer(world))
    client = await ScriptedClient.open(world.app.port)
    await client.start_tls(trusting(world.certificates.authority))
    await client.log_in({"user": user, "database": connection}, token)
    return client


async def said(client: ScriptedClient, data: bytes, ends: int) -> list[ReceivedFrame]:
    await client.send(data)
    heard: list[ReceivedFrame] = []
    async with asyncio.timeout(60):
        for _ in range(ends):
            heard += await client.frames(until="Z")
    return heard


def refusals(world: World) -> list[Record]:
    return [record for record in records(world, "execution") if record["decision"] == "deny"]


def completed(world: World) -> list[str]:
    texts = {record["execution"]: str(record["statement"]) for record in records(world, "execution")}
    return [texts[r["execution"]] for r in records(world, "outcome") if r["ended"] == "completed"]


# --- 1: a function called as if it were a column ---------------------------------------------------------


IN_ATTRIBUTE_NOTATION = [
    "SELECT ('select to_tsvector(note) from notes'::text).ts_stat",
    "SELECT ('attack'::text).attack_write",
    "SELECT (0).pg_cancel_backend",
    "SELECT (c.x).pg_advisory_lock FROM (SELECT 1::bigint) c(x)",
]


async def test_a_function_in_attribute_notation_is_judged_as_a_function(loose: World) -> None:
    async with await log_in(loose) as client:
        for sql in IN_ATTRIBUTE_NOTATION:
            await said(client, encode_query(sql.encode()), 1)
    assert [record["statement"] for record in refusals(loose)] == IN_ATTRIBUTE_NOTATION


async def test_nothing_is_written_under_a_policy_that_reads(loose: World) -> None:
    def read_only(value: str) -> str:
        inner = f"select to_tsvector(set_config(''default_transaction_read_only'',''{value}'',false))"
        return f"SELECT ('{inner}'::text).ts_stat"

    sql = f"{read_only('off')}; COMMIT; SELECT ('attack wrote this'::text).attack_write; COMMIT; {read_only('on')}"
    async with await log_in(loose) as client:
        await said(client, encode_query(sql.encode()), 1)
    assert await ask(loose.database, "SELECT count(*) FROM notes WHERE note LIKE 'attack%'") == 0


async def test_a_session_cannot_end_anothers(loose: World) -> None:
    async with await log_in(loose) as victim, await log_in(loose) as client:
        [row] = [b for k, b in await said(victim, encode_query(b"SELECT pg_backend_pid()::text"), 1) if k == "D"]
        pid = row[6:].decode()
        await said(client, encode_query(f"SELECT ({pid}).pg_terminate_backend".encode()), 1)
        assert (await said(victim, encode_query(b"SELECT 1"), 1))[-1][0] == "Z"


# --- 2: a record that tells another statement than what ran ----------------------------------------------

HARMLESS = b"SELECT 'harmless'"
DIVIDES = b"SELECT 1/(random()*0)::int"


# What is sent before, how often the server is ready then, and the attack, with how often it is ready after that.
ATTACKS: dict[str, tuple[bytes, int, bytes, int]] = {
    "the name is taken": (
        parse(b"u", b"SELECT 'SECRET'") + SYNC, 1,
        parse(b"u", HARMLESS) + SYNC + bind(b"", b"u") + execute() + SYNC, 2,
    ),
    "an error passes over the unnamed Parse": (
        parse(b"", b"SELECT 'SECRET'") + SYNC, 1,
        parse(b"z", DIVIDES) + bind(b"", b"z") + execute() + parse(b"", HARMLESS) + SYNC
        + bind(b"", b"") + execute() + SYNC, 2,
    ),
    "an error passes over Close and Parse": (
        parse(b"u", b"SELECT 'SECRET'") + SYNC, 1,
        parse(b"z", DIVIDES) + bind(b"", b"z") + execute() + close(b"S", b"u") + parse(b"u", HARMLESS) + SYNC
        + bind(b"", b"u") + execute() + SYNC, 2,
    ),
    "a Query fails before its PREPARE": (
        parse(b"u", b"SELECT 'SECRET'") + SYNC, 1,
        encode_query(b"SELECT 1/0; DEALLOCATE u; PREPARE u AS SELECT 'harmless'")
        + bind(b"", b"u") + execute() + SYNC, 2,
    ),
    "a Query fails before its DECLARE": (
        encode_query(b"BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT 'SECRET'; COMMIT"), 1,
        encode_query(b"SELECT 1/0; CLOSE h; DECLARE h CURSOR WITH HOLD FOR SELECT 'harmless'")
        + execute(b"h") + SYNC, 2,
    ),
    "a portal of a statement that SQL prepared, run after its name stands for another": (
        encode_query(b"BEGIN; PREPARE u AS SELECT 'harmless'") + bind(b"p", b"u")
        + close(b"S", b"u") + parse(b"u", b"SELECT 'SECRET'") + execute(b"p") + SYNC, 2,
        bind(b"", b"u") + execute() + SYNC, 1,
    ),
    "parameters of a portal that outlives a savepoint": (
        encode_query(b"BEGIN") + parse(b"v", b"SELECT $1::text") + bind(b"p", b"v", b"SECRET") + SYNC
        + encode_query(b"SAVEPOINT s"), 3,
        parse(b"", DIVIDES) + bind(b"", b"") + execute() + close(b"P", b"p") + bind(b"p", b"v", b"harmless")
        + SYNC + encode_query(b"ROLLBACK TO s") + execute(b"p") + SYNC, 3,
    ),
}  # fmt: skip


async def test_what_is_on_record_as_completed_is_what_ran(world: World) -> None:
    for name, (before, ends_before, attack, ends) in ATTACKS.items():
        async with await log_in(world) as client:
            await said(client, before, ends_before)
            since = len(records(world))
            heard = await said(client, attack, ends)
        rows = b"".join(body for kind, body in heard if kind == "D")
        lines = journal_lines(world.journal)[since:]
        lies = [line for line in lines if '"type":"execution"' in line and "harmless" in line and "1/0" not in line]
        done = {r["execution"] for r in records(world, "outcome") if r["ended"] == "completed"}
        assert not (b"SECRET" in rows and [line for line in lies if any(str(one) in line for one in done)]), name


# --- 3: one client stalls all ------------------------------------------------------------------------------


async def test_many_statements_in_a_message_do_not_stall_the_others(world: World) -> None:
    async with await log_in(world) as client:
        size = len(journal_text(world.journal))
        with Turns() as turns:
            await client.send(b"".join(encode_query(b"--%d\n" % n + b"DO '';" * 2600) for n in range(10)))
            async with asyncio.timeout(90):
                for _ in range(10):
                    await client.frames(until="Z")
    assert 100 < turns.worst < 100_000  # calls in one go: some 20 ms
    assert len(journal_text(world.journal)) - size < 10 * 16_000 * 20


# --- 4: the protocol goes out of step ------------------------------------------------------------------------


async def test_a_sync_behind_data_that_the_server_rejects_is_answered(world: World) -> None:
    async with await log_in(world, "writer", "write-target") as client:
        await client.send(parse(b"", COPY) + bind(b"", b"") + execute())
        await client.frames(until="G")
        heard = await said(client, message(b"d", b"bad\n" * 30_000) + SYNC, 1)  # PostgreSQL: E, then Z
    assert [kind for kind, _ in heard] == ["E", "Z"]


async def test_discard_of_something_else_keeps_prepared_statements(loose: World) -> None:
    for what in (b"PLANS", b"SEQUENCES", b"TEMP"):
        async with await log_in(loose) as client:
            await said(client, parse(b"k", b"SELECT 5") + SYNC + encode_query(b"DISCARD " + what), 2)
            heard = await said(client, bind(b"", b"k") + execute() + SYNC, 1)
        assert "D" in [kind for kind, _ in heard], what
