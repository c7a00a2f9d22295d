"""Databases of other encodings than UTF8: a statement does what was judged, or it is refused; nothing in between.

The server reads a statement in its own encoding. pgjit pins UTF8 between itself and the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psycopg
import pytest
from psycopg import pq

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.loose import POLICY, Line, refusal
from tests.e2e.test_holes import SYNC, bind, execute, log_in, parse, said
from tests.e2e.worlds import add_reader, open_world, records

LONG = "a" * 62 + "é"  # 63 bytes in LATIN1, where it is no longer than a name may be
SCHEMA = {
    "LATIN1": f"""
        CREATE TABLE "größe" (id int, "maß" text); INSERT INTO "größe" VALUES (1, 'ß'), (2, 'é');
        CREATE TABLE "GRÖßE" (id int); CREATE TABLE "{LONG}" (id int); CREATE TABLE "{"a" * 62}" (id int);
        CREATE VIEW "übersicht" AS SELECT "maß" AS "Maß" FROM "größe";
    """,
    "EUC_JP": """
        CREATE TABLE "商品" (id int, "名前" text); INSERT INTO "商品" VALUES (1, '日本'), (2, 'ｶﾅ');
    """,
    "SQL_ASCII": r"""
        CREATE TABLE plain (id int, name text); INSERT INTO plain VALUES (1, 'é'), (2, E'\xff'), (3, 'x');
        CREATE TABLE "größe" (id int);
    """,
}
ANSWERED = {  # as the server answers them where nobody is in between
    "LATIN1": [
        "SELECT 'é', length('é'), octet_length('é')",
        "SELECT * FROM größe",
        'SELECT "maß" FROM "größe" WHERE "maß" = \'é\'',
        "SELECT E'\\u00e9' = 'é'",
        "SELECT U&'\\00e9'",
        'SELECT U&"ma\\00df" FROM größe',
        "SELECT * FROM übersicht",
        "SELECT 'é' AS größe", "SELECT '\\' || 'é' -- é", "SELECT $é$it's$é$", "SELECT 'É' ILIKE 'é'",
    ],
    "EUC_JP": [
        "SELECT '日本', length('日本'), octet_length('日本')",
        "SELECT * FROM 商品",
        'SELECT 名前 FROM "商品" WHERE 名前 = \'日本\'',
        "SELECT 'ソ表能\\'", "SELECT '日本' AS 国", "SELECT 'ｶﾅ' -- ソ",
    ],
    "SQL_ASCII": ["SELECT 'é', length('é')", "SELECT * FROM plain WHERE id <> 2", "SELECT name = 'é' FROM plain"],
}  # fmt: skip
REFUSED = {  # the name that the server reads may not be the one that was judged
    "LATIN1": [
        "SELECT * FROM GRÖßE", 'SELECT * FROM "GRÖßE"', f'SELECT * FROM "{LONG}"', f"SELECT * FROM {LONG}",
        f'SELECT 1 AS "{"é" * 40}"',
        'SELECT * FROM U&"GR\\00d6\\00dfE"',
        "SELECT * FROM U&\"GR!00d6!00dfE\" UESCAPE '!'",
    ],
    "EUC_JP": [f'SELECT 1 AS "{"日" * 25}"', f'SELECT * FROM "{"商" * 21}"'],
    "SQL_ASCII": ["SELECT * FROM größe", 'SELECT 1 AS "é"', f'SELECT 1 AS "{LONG}"'],
}  # fmt: skip
CANNOT = {  # the server's own error: SQLSTATE
    "LATIN1": [("SELECT '日本'", "22P05"), ("SELECT 1 AS x -- 日本", "22P05"), ("SELECT E'\\u65e5'", "22P05")],
    "EUC_JP": [("SELECT '😀'", "22P05")],
    "SQL_ASCII": [("SELECT U&'\\00e9'", "0A000"), ("SELECT * FROM plain", "22021")],
}
BAD_BYTES = (b"SELECT '\xe9'", b"SELECT '\xc6\xfc'", b"SELECT 1 -- \xff")


@pytest.fixture(params=list(SCHEMA))
async def encoding(request: pytest.FixtureRequest, database: DemoDatabase) -> AsyncIterator[str]:
    name = str(request.param)
    admin = await asyncpg.connect(database.superuser_dsn)
    await admin.execute(f"CREATE DATABASE other ENCODING '{name}' LOCALE 'C' TEMPLATE template0")
    inside = await psycopg.AsyncConnection.connect(_conninfo(database), autocommit=True)
    await inside.execute(SCHEMA[name])
    await inside.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")
    await inside.close()
    yield name
    await admin.execute("DROP DATABASE other WITH (FORCE)")
    await admin.close()


def _conninfo(database: DemoDatabase) -> str:
    return f"host={database.socket_dir} port={database.port} user=postgres dbname=other client_encoding=UTF8"


@pytest.fixture
async def world(encoding: str, database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    secret = tmp_path / "secret"
    secret.write_text(database.password)
    login = {
        "host": str(database.socket_dir), "port": database.port, "database": "other", "user": database.user,
        "password": {"file": str(secret)},
    }  # fmt: skip
    policies = tmp_path / "only-reading"
    policies.mkdir()
    (policies / "reader.yaml").write_text(POLICY, "utf-8")
    async with open_world(
        database, tmp_path, config={"connections": {"prod-replica": login}}, policies=policies
    ) as served:
        yield served


def told(results: list[pq.abc.PGresult]) -> list[object]:
    """All that a client is told: names, values, and SQLSTATEs of errors."""
    found: list[object] = []
    for result in results:
        found.append(result.error_field(pq.DiagnosticField.SQLSTATE))
        found.append([result.fname(column) for column in range(result.nfields)])
        rows = range(result.ntuples)
        found.append([[result.get_value(row, column) for column in range(result.nfields)] for row in rows])
    return found


async def test_what_is_judged_is_what_the_server_runs(world: World, encoding: str) -> None:
    through = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
    direct = await asyncio.to_thread(Line, _conninfo(world.database))
    try:
        for send in ("simple", "extended"):
            for sql in ANSWERED[encoding]:
                answer = await asyncio.to_thread(getattr(through, send), sql)
                assert told(answer) == told(getattr(direct, send)(sql)), sql
                assert answer[0].status == pq.ExecStatus.TUPLES_OK, sql
            for sql in REFUSED[encoding]:
                found = refusal(await asyncio.to_thread(getattr(through, send), sql))
                assert found is not None, sql
                assert found[1] == "pgjit:unresolved-name", sql
            for sql, state in CANNOT[encoding]:
                answer = await asyncio.to_thread(getattr(through, send), sql)
                assert refusal(answer) is None, sql
                assert told(answer)[0] == told(getattr(direct, send)(sql))[0] == state.encode(), sql
            for raw in BAD_BYTES:
                found = refusal(await asyncio.to_thread(getattr(through, send), raw))
                assert found is not None, raw
                assert found[1] == "pgjit:invalid-encoding"
        assert through.alive
    finally:
        through.close()
        direct.close()
    ended = [record["ended"] for record in records(world, "outcome")]
    assert set(ended) <= {"completed", "refused", "failed"}


async def test_a_client_of_another_encoding_is_told_to_use_utf8(world: World, encoding: str) -> None:
    token = await world.token(add_reader(world))
    conninfo = (
        f"{world.conninfo('reader')} password={token} client_encoding={'LATIN1' if encoding == 'LATIN1' else 'SJIS'}"
    )
    with pytest.raises(AssertionError, match="client_encoding must be UTF8"):
        await asyncio.to_thread(Line, conninfo)
    line = await asyncio.to_thread(Line.through, world, token)
    found = refusal(await asyncio.to_thread(line.simple, "SET client_encoding = 'LATIN1'"))
    assert found is not None
    line.close()


async def test_long_names_of_statements_are_told_apart_as_the_server_does(world: World, encoding: str) -> None:
    names = [("é" * 32 + letter).encode() for letter in "ab"]
    rows: list[bytes] = []
    async with await log_in(world) as client:
        for name, text in zip(names, (b"SELECT 'first'", b"SELECT 'second'"), strict=True):
            await said(client, parse(name, text) + SYNC, 1)
        for name in names:
            heard = await said(client, bind(b"", name) + execute() + SYNC, 1)
            rows += [body[6:] for kind, body in heard if kind == "D"]
    done = {r["execution"] for r in records(world, "outcome") if r["ended"] == "completed"}
    ran = [str(r["statement"]) for r in records(world, "execution") if r["execution"] in done]
    assert ran == [f"SELECT '{row.decode()}'" for row in rows]
    # In SQL_ASCII both are cut to one; in EUC_JP nobody knows where they are cut, and they are refused.
    assert rows == {"LATIN1": [b"first", b"second"], "SQL_ASCII": [b"first"] * 2, "EUC_JP": []}[encoding]
    denied = [r for r in records(world, "execution") if r["decision"] == "deny"]
    assert len(denied) == (4 if encoding == "EUC_JP" else 0)
