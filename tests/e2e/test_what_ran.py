"""What is on record is what ran, by whatever name it ran: against a real server, through the whole proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgwire.messages.query import decode_error, encode_query
from pgwire.reader import message
from tests.e2e.test_holes import SYNC, bind, close, execute, log_in, parse, said
from tests.e2e.worlds import READERS, WRITERS, Record, add_breaker, ask, open_world, records
from tests.fakes.scripted_client import ReceivedFrame, ScriptedClient, trusting

INSERT = "INSERT INTO notes (written_by, note) VALUES (1, 'unseen')"
RETURNING = INSERT + " RETURNING note"
LIMITED = f"""\
policy: limited-writer
connection: write-target
group: {WRITERS}
grant: on-request
ttl: 30m
record: true
statements:
  access: read-write
  allow:
    - {{kinds: [ddl-table, do]}}
limits: {{rows: 5}}
"""


@pytest.fixture(autouse=True)
async def clean(database: DemoDatabase) -> AsyncIterator[None]:
    yield
    await ask(database, "DELETE FROM notes WHERE note LIKE 'unseen%'")
    await ask(database, "DROP TABLE IF EXISTS made_by_name")
    await ask(database, f"REVOKE CREATE ON SCHEMA public FROM {database.writer}")


def q(sql: str) -> bytes:
    return encode_query(sql.encode())


def p(name: str, sql: str) -> bytes:
    return parse(name.encode(), sql.encode())


def run(portal: bytes = b"") -> bytes:
    return execute(portal)


def ran(world: World) -> list[Record]:
    """Executions that were completed."""
    done = {r["execution"] for r in records(world, "outcome") if r["ended"] in ("completed", "suspended")}
    return [r for r in records(world, "execution") if r["execution"] in done]


def sqlstates(heard: list[ReceivedFrame]) -> list[str]:
    return [decode_error(body)["C"] for kind, body in heard if kind == "E"]


async def breaker(world: World) -> ScriptedClient:
    client = await ScriptedClient.open(world.app.port)
    await client.start_tls(trusting(world.certificates.authority))
    await client.log_in({"user": "full", "database": "write-target"}, await world.token(add_breaker(world)))
    return client


# What is sent, how often the server is ready then, and of the execution its text, kind, `prepared_as` and `through`.
Named = tuple[bytes, int, str, str, str, list[str] | None]
NAMED: dict[str, Named] = {
    "EXECUTE": (
        p("d", INSERT) + SYNC + q("EXECUTE d"), 2, INSERT, "insert", "d", ["EXECUTE d"],
    ),
    "in one message": (
        q(f"PREPARE d AS {INSERT}; EXECUTE d"), 1, f"PREPARE d AS {INSERT}", "insert", "d", ["EXECUTE d"],
    ),
    "one through another": (
        p("d", INSERT) + p("e", "EXECUTE d") + SYNC + q("EXECUTE e"), 2, INSERT, "insert", "d",
        ["EXECUTE e", "EXECUTE d"],
    ),
    "through a portal": (
        p("d", INSERT) + p("e", "EXECUTE d") + bind(b"", b"e") + run() + SYNC, 1, INSERT, "insert", "d",
        ["EXECUTE d"],
    ),
    "FETCH of a portal": (
        q("BEGIN") + p("d", RETURNING) + bind(b"p", b"d") + SYNC + q("FETCH 0 FROM p") + q("COMMIT"), 4,
        RETURNING, "insert", "p", ["FETCH 0 FROM p"],
    ),
    "MOVE of a portal that executes": (
        q("BEGIN") + p("d", RETURNING) + p("e", "EXECUTE d") + bind(b"p", b"e") + SYNC + q("MOVE p")
        + q("COMMIT"), 4, RETURNING, "insert", "d", ["MOVE p", "EXECUTE d"],
    ),
    "a name that is changed by EXECUTE": (
        p("x", "SELECT 'harmless'") + p("de", "DEALLOCATE x") + p("pr", f"PREPARE x AS {INSERT}") + SYNC
        + q("EXECUTE de") + q("EXECUTE pr") + bind(b"", b"x") + run() + SYNC, 4,
        f"PREPARE x AS {INSERT}", "insert", "x", None,
    ),
    "PREPARE through two names": (
        p("pr", f"PREPARE x AS {INSERT}") + p("e", "EXECUTE pr") + SYNC + bind(b"e", b"e") + run(b"e") + SYNC, 2,
        f"PREPARE x AS {INSERT}", "prepare", "pr", ["EXECUTE pr"],
    ),
    "EXPLAIN ANALYZE EXECUTE": (
        p("d", RETURNING) + SYNC + q("EXPLAIN (ANALYZE) EXECUTE d"), 2,
        RETURNING, "explain", "d", ["EXPLAIN (ANALYZE) EXECUTE d"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("full", [False, True], ids=["read-write", "full"])
async def test_an_execute_or_a_fetch_is_on_record_as_what_its_name_stands_for(world: World, full: bool) -> None:
    for name, case in NAMED.items():
        before = len(ran(world))
        opened = breaker(world) if full else log_in(world, "writer", "write-target")
        async with await opened as client:
            data, ends, *wanted = case
            heard = await said(client, data, ends)
        assert sqlstates(heard) == [], name
        text, kind, *_ = wanted
        found = [r for r in ran(world)[before:] if r["statement"] == text and r.get("kind") == kind]
        assert [[text, kind, r["prepared_as"], r.get("through")] for r in found] == [wanted], name
        deleted = "WITH d AS (DELETE FROM notes WHERE note = 'unseen' RETURNING 1) SELECT count(*) FROM d"
        written = await ask(world.database, deleted)
        assert written == (kind != "prepare"), name


@pytest.fixture
async def limited(database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "limited"
    folder.mkdir()
    (folder / "limited.yaml").write_text(LIMITED)
    async with open_world(database, tmp_path, policies=folder) as world:
        yield world


async def limited_writer(world: World) -> ScriptedClient:
    return await log_in(world, "limited-writer", "write-target")


async def test_a_write_by_a_name_comes_alone_where_results_are_limited(limited: World) -> None:
    async with await limited_writer(limited) as client:
        heard = await said(client, p("d", INSERT) + SYNC + q("SELECT generate_series(1, 1000); EXECUTE d"), 2)
    assert sqlstates(heard) == ["54000"]
    assert await ask(limited.database, "SELECT count(*) FROM notes WHERE note = 'unseen'") == 0
    denied = [r for r in records(limited, "execution") if r["decision"] == "deny"]
    assert [(r["statement"], r["kind"]) for r in denied] == [
        ("SELECT generate_series(1, 1000)", "select"), (INSERT, "insert"),
    ]  # fmt: skip


async def test_copy_from_the_client_runs_by_a_name(limited: World) -> None:
    copy = "COPY notes (written_by, note) FROM STDIN"
    async with await limited_writer(limited) as client:
        await client.send(p("c", copy) + SYNC + q("EXECUTE c"))
        await client.frames(until="G")
        heard = await said(client, message(b"d", b"1\tunseen by copy\n") + message(b"c"), 1)
        await client.send(p("e", "EXECUTE c") + bind(b"", b"e") + run() + SYNC)
        await client.frames(until="G")
        heard += await said(client, message(b"d", b"1\tunseen by copy\n") + message(b"c") + SYNC, 1)
        heard += await said(client, q("SELECT 1"), 1)
    assert sqlstates(heard) == []
    assert await ask(limited.database, "SELECT count(*) FROM notes WHERE note = 'unseen by copy'") == 2
    copied = [r for r in ran(limited) if r.get("kind") == "copy-in"]
    assert [(r["statement"], r["prepared_as"]) for r in copied] == [(copy, "c")] * 2


async def test_a_table_that_is_made_by_a_name_is_known_at_once(limited: World) -> None:
    await ask(limited.database, f"GRANT CREATE ON SCHEMA public TO {limited.database.writer}")
    async with await limited_writer(limited) as client:
        heard = await said(client, p("ddl", "CREATE TABLE made_by_name (id int)") + SYNC + q("EXECUTE ddl"), 2)
        heard += await said(client, q("INSERT INTO made_by_name VALUES (1)") + q("SELECT id FROM made_by_name"), 2)
    assert sqlstates(heard) == []


async def test_arguments_of_an_execute_are_on_record(world: World) -> None:
    async with await log_in(world) as client:
        await said(client, q("PREPARE d(int, text, text, text) AS SELECT $1, $2, $3, $4"), 1)
        heard = await said(client, q("EXECUTE d(-1, 'it''s', NULL, upper('a, b'))"), 1)
    assert sqlstates(heard) == []
    assert ran(world)[-1]["parameters"] == {"values": ["-1", "it's", None, {"sql": "upper('a, b')"}]}


UNRESOLVED = [
    (b"", "EXECUTE nothing", "26000"),
    (b"", "PREPARE x AS SELECT 1; DEALLOCATE x; EXECUTE x", "26000"),
    (b"", "PREPARE x AS SELECT 1; DEALLOCATE ALL; EXECUTE x", "26000"),
    (b"", "PREPARE x AS SELECT 1; EXPLAIN EXECUTE y", "26000"),
    (b"", "FETCH nothing", "34000"),
    (p("e", "EXECUTE e"), "EXECUTE e", "54001"),
    (p("e", "DEALLOCATE ALL"), "EXPLAIN EXECUTE e", "42501"),
]


async def test_what_nobody_can_resolve_is_refused(world: World) -> None:
    for before, sql, sqlstate in UNRESOLVED:
        earlier = len(ran(world))
        async with await log_in(world) as client:
            heard = await said(client, before + SYNC + q(sql) + q("SELECT 1"), 3)
        assert sqlstates(heard) == [sqlstate], sql
        assert [r["statement"] for r in ran(world)[earlier:]] == ["SELECT 1"], sql


async def test_explain_of_what_was_prepared_to_read_passes(world: World) -> None:
    async with await log_in(world) as client:
        heard = await said(client, q("PREPARE d(int) AS SELECT $1 FROM orders") + q("EXPLAIN EXECUTE d(1)"), 2)
        heard += await said(client, q("PREPARE e AS SELECT 1; EXPLAIN (ANALYZE) EXECUTE e"), 1)
    assert sqlstates(heard) == []


async def test_a_portal_gives_the_rest_of_what_it_began_whatever_becomes_of_the_name(world: World) -> None:
    pipeline = p("d", "SELECT generate_series(1, 3), 'first'") + p("e", "EXECUTE d") + bind(b"z", b"e")
    again = close(b"S", b"d") + p("d", "SELECT 4, 'second'") + run(b"z") + SYNC
    async with await log_in(world) as client:
        heard = await said(client, pipeline + message(b"E", b"z\0\0\0\0\2") + again, 1)
    assert [body[-5:] for kind, body in heard if kind == "D"] == [b"first"] * 3
    assert {r["statement"] for r in ran(world)} == {"SELECT generate_series(1, 3), 'first'"}


async def test_a_name_that_code_may_have_changed_is_not_run(limited: World) -> None:
    code = "DO $$ BEGIN EXECUTE 'DEALLOCATE x'; EXECUTE 'PREPARE x AS SELECT 2'; END $$"
    async with await limited_writer(limited) as client:
        await said(client, p("x", "SELECT 1") + SYNC + q("DO $$ BEGIN NULL; END $$") + q("EXECUTE x"), 3)
        heard = await said(client, q(code) + bind(b"", b"x") + run() + SYNC + q("EXECUTE x"), 3)
        heard += await said(client, p("y", "SELECT 1") + bind(b"", b"y") + run() + SYNC, 1)
    assert sqlstates(heard) == ["26000", "26000"]
    assert [r["statement"] for r in ran(limited)][1:] == ["SELECT 1", code, "SELECT 1"]


async def test_under_full_access_a_name_that_code_may_have_changed_is_on_record_as_such(world: World) -> None:
    code = "DO $$ BEGIN EXECUTE 'DEALLOCATE x'; EXECUTE 'PREPARE x AS SELECT 2'; END $$"
    async with await breaker(world) as client:
        await said(client, p("x", "SELECT 1") + SYNC + q(code), 2)
        heard = await said(client, q("EXECUTE x") + bind(b"", b"x") + run() + SYNC, 2)
        heard += await said(client, q("EXECUTE nobody_knows") + q("FETCH nobody"), 2)
    assert sqlstates(heard) == ["26000", "34000"]
    unresolved = [r["unresolved"] for r in records(world, "execution") if "unresolved" in r]
    assert unresolved == [
        "prepared statement `x` may have been changed", "prepared statement `x` may have been changed",
        "prepared statement `nobody_knows` does not exist", "cursor `nobody` does not exist",
    ]  # fmt: skip


async def test_a_statement_that_is_refused_because_of_another_says_so(world: World) -> None:
    async with await log_in(world) as client:
        [error] = [b for k, b in await said(client, q("SELECT 1; DELETE FROM notes; SELECT 2"), 1) if k == "E"]
    assert "It is statement 2 of the 3 in the message" in decode_error(error)["D"]
    rules = [[v["rule"] for v in r["violations"]] for r in records(world, "execution")]  # type: ignore[attr-defined]
    assert rules[0] == rules[2] == ["refused-with-message"]
    assert "statement-kind" in rules[1]


async def test_each_session_of_a_window_gives_its_own_reason(world: World) -> None:
    token = await world.token(world.emulator.add_app("one of many", groups=[READERS]))
    for options in ("-c pgjit.reason=first", "-c pgjit.reason=joined -c pgjit.ticket=T-7", ""):
        client = await ScriptedClient.open(world.app.port)
        async with client:
            await client.start_tls(trusting(world.certificates.authority))
            named = {"options": options} if options else {}
            await client.log_in({"user": "reader", "database": "prod-replica", **named}, token)
    opened = records(world, "session.opened")
    assert [(r.get("reason"), r.get("ticket")) for r in opened] == [
        ("first", None), ("joined (ticket T-7)", "T-7"), (None, None),
    ]  # fmt: skip
    assert len(records(world, "window.opened")) == 1
