"""Bound values in the journal are the values that the server was given."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import uuid
from decimal import Decimal
from pathlib import Path

import asyncpg
import psycopg
import pytest

from pgjit.audit.binary_values import decoded
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import connect_asyncpg, connect_psycopg
from tests.e2e.worlds import POLICIES, add_reader, ask, open_world, records

VALUES = {
    "boolean": (16, ["true", "false"]),
    "bigint": (20, ["-9223372036854775808", "9223372036854775807", "0"]),
    "smallint": (21, ["-32768", "7"]),
    "integer": (23, ["-7", "2147483647"]),
    "oid": (26, ["4294967295"]),
    "real": (700, ["0.1", "-3.4028235e+38", "1e-40", "NaN", "Infinity"]),
    "double precision": (701, ["0.1", "-1e+300", "NaN", "-Infinity"]),
    "numeric": (1700, [
        "0", "0.00", "-12345.6789", "0.000000123", "100000000", "1e30", "NaN", "Infinity", "-Infinity", "9999.9999",
        "10000", "-0.0001", "123456789012345678901234567890.00012345678900",
    ]),
    "date": (1082, ["2026-11-29", "0001-01-01", "9999-12-31", "infinity", "-infinity"]),
    "time": (1083, ["00:00:00", "23:59:59.999999", "24:00:00", "10:20:30.500001"]),
    "timetz": (1266, ["10:20:30+05:30", "10:20:30.250001-08"]),
    "timestamp": (1114, ["2026-11-29T10:00:00.123456", "1970-01-01T00:00:00", "infinity"]),
    "timestamptz": (1184, ["2026-11-29T10:00:00Z", "-infinity"]),
    "uuid": (2950, ["b29f6b4e-842f-51fd-bc48-992c356d7b53"]),
    "jsonb": (3802, ['{"a": [1, null]}']),
    "json": (114, ['{"a":  1}']),
    "text": (25, ["größe", ""]),
    "integer[]": (1007, ["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[5:6]={7,8}"]),
    "text[]": (1009, ['{a,"b c",NULL}']),
    "numeric[]": (1231, ["{1.5,-2}"]),
}  # fmt: skip
SEND = {
    "boolean": "boolsend", "bigint": "int8send", "smallint": "int2send", "integer": "int4send", "oid": "oidsend",
    "real": "float4send", "double precision": "float8send", "text": "textsend",
}  # fmt: skip


SHOWN = {"timestamptz": "$1::text::timestamptz AT TIME ZONE 'UTC'", "json": "$1::text::json::text"}


async def test_every_type_reads_as_the_server_writes_it(world: World) -> None:
    for name, (oid, texts) in VALUES.items():
        send = "array_send" if name.endswith("[]") else SEND.get(name, f"{name}_send")
        shown = SHOWN.get(name, f"$1::text::{name}")
        for text in texts:
            raw = await ask(world.database, f"SELECT {send}($1::text::{name})", text)
            assert isinstance(raw, bytes)
            written = str(await ask(world.database, f"SELECT to_jsonb({shown}) #>> '{{}}'", text))
            assert expected(name, written) == decoded(oid, raw), (name, text)


def expected(name: str, written: str) -> object:
    """As records have it, from the server's own JSON."""
    if name in ("real", "double precision"):
        return written if written in ("NaN", "Infinity", "-Infinity") else float(written)
    if name in ("boolean", "bigint", "smallint", "integer", "oid"):
        return json.loads(written)
    if name == "numeric[]":
        return ["1.5", "-2"]
    if name.endswith("[]"):
        return json.loads(written)
    if name == "timestamptz":
        return written if written.endswith("infinity") else f"{written}Z"
    return f"{written}:00" if name == "timetz" and written[-3] == "-" else written


async def test_values_are_decoded_by_the_types_that_the_client_or_the_server_names(world: World) -> None:
    """asyncpg describes a statement before it binds; psycopg names the types in its Parse."""
    token = await world.token(add_reader(world))
    asked = "SELECT $1::int, $2::text[], $3::numeric, $4::uuid, $5::bool, $6::point, $7::date"
    who = uuid.UUID("b29f6b4e-842f-51fd-bc48-992c356d7b53")
    client = await connect_asyncpg(world, token, "reader")
    try:
        await client.fetch(
            asked, 7, ["a", None], Decimal("1.50"), who, True, asyncpg.Point(1, 2), dt.date(2026, 11, 29)
        )
    finally:
        await client.close()
    async with await connect_psycopg(world, token, "reader") as connection:
        await connection.execute("SELECT %b, %b, %b, %b", (7, 0.5, "x", who))
    first, second = (r["parameters"] for r in records(world, "execution") if "parameters" in r)
    point = {"base64": "P/AAAAAAAABAAAAAAAAAAA==", "type": "point"}
    assert first == {"values": [7, ["a", None], "1.50", str(who), True, point, "2026-11-29"]}
    assert second == {"values": [7, 0.5, "x", str(who)]}


async def test_an_outcome_has_the_error_and_the_time_of_the_first_row(world: World) -> None:
    token = await world.token(add_reader(world))
    async with await connect_psycopg(world, token, "reader") as connection:
        await connection.execute("SELECT n, pg_sleep(n * 0.05) FROM generate_series(0, 2) n, pg_class LIMIT 600")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("SELECT 1 / 0")
    slow, failed = records(world, "outcome")
    assert 0 <= int(str(slow.get("first_row_us", 0))) <= int(str(slow["duration_us"]))
    assert (failed["sqlstate"], failed["message"]) == ("22012", "division by zero")
    assert "first_row_us" not in failed


REVEALING: list[tuple[str, tuple[str, ...] | None]] = [
    ("SELECT name FROM customers WHERE name = 's3cr3t' -- s3cr3t", None),
    ("SELECT name FROM customers WHERE name = %s", ("s3cr3t",)),
    ("SELECT 's3cr3t'::int", None),
    ("PREPARE p(text) AS SELECT $1, 's3cr3t'", None),
    ("EXECUTE p('s3cr3t')", None),
    ("selct 's3cr3t'", None),
    ("DELETE FROM customers WHERE name = 's3cr3t'", None),
    ("SELECT " + "1 + " * 100 + "'s3cr3t'::int", None),
]


async def test_record_statements_keeps_every_value_out_of_the_journal(database: DemoDatabase, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    text = (POLICIES / "reader.yaml").read_text("utf-8")
    (folder / "reader.yaml").write_text(text.replace("record: true", "record: statements"), "utf-8")
    async with open_world(database, tmp_path, policies=folder) as world:
        token = await world.token(add_reader(world))
        async with await connect_psycopg(world, token, "reader") as connection:
            for sql, values in REVEALING:
                with contextlib.suppress(psycopg.Error):
                    await connection.execute(sql, values)
        ran = records(world, "execution")
        assert len(ran) == len(REVEALING)
        assert ran[0]["statement"] == "SELECT name FROM customers WHERE name = $1"
        assert ran[1]["parameters"] == {"count": 1, "values": [], "truncated": True}
        assert "s3cr3t" not in "".join(json.dumps(each) for each in records(world))
