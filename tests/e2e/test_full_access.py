"""`access: full` with a real server: what other policies refuse runs, and is on record."""

from __future__ import annotations

import asyncio
import ctypes
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.world import World
from tests.e2e.clients import connect_psycopg
from tests.e2e.worlds import add_breaker, add_writer, records

STATEMENTS = (
    "SET work_mem = '1GB'",
    "DO $$ BEGIN PERFORM 1; END $$",
    "ANALYZE notes",
    "LISTEN news",
    "NOTIFY news",
    "SET client_encoding = 'LATIN1'",
    "SET standard_conforming_strings = off",
    "SELECT 'a\\'b'",
    "RESET ALL",
)


async def test_what_other_policies_refuse_runs_and_is_recorded(world: World) -> None:
    token = await world.token(add_breaker(world))
    async with await connect_psycopg(world, token, "full", "write-target") as connection:
        for sql in STATEMENTS:
            await connection.execute(sql.encode())
        with pytest.raises(psycopg.errors.SyntaxError):
            await connection.execute(b"SELECT some thing wrong")
        assert await (await connection.execute("SHOW pgjit.policy")).fetchone() is not None
    executions = records(world, "execution")
    assert [r["statement"] for r in executions][: len(STATEMENTS)] == list(STATEMENTS)
    assert {r["decision"] for r in executions} == {"allow"}
    assert len(records(world, "outcome")) == len(executions)
    other = await world.token(add_writer(world))
    async with await connect_psycopg(world, other, "writer", "write-target") as connection:
        for sql in STATEMENTS[:-1]:
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.SyntaxError)):
                await connection.execute(sql.encode())


async def test_libpqs_fast_path_function_call_is_forwarded_with_its_arguments_on_record(world: World) -> None:
    token = await world.token(add_breaker(world))
    async with await connect_psycopg(world, token, "full", "write-target") as connection:
        row = await (await connection.execute("SELECT 'pg_catalog.int4pl'::regproc::oid")).fetchone()
        assert row is not None
        assert await asyncio.to_thread(_call, connection, int(str(row[0])), (20, 22)) == 42
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    called = [r for r in records(world, "execution") if r.get("kind") == "function-call"]
    assert len(called) == 1
    assert called[0]["parameters"] == {"values": [{"base64": "AAAAFA=="}, {"base64": "AAAAFg=="}]}


class _Value(ctypes.Union):
    _fields_ = (("ptr", ctypes.c_void_p), ("integer", ctypes.c_int))


class _Argument(ctypes.Structure):
    """PQArgBlock of libpq-fe.h."""

    _fields_ = (("len", ctypes.c_int), ("isint", ctypes.c_int), ("u", _Value))


def _call(connection: psycopg.AsyncConnection[tuple[object, ...]], function: int, arguments: tuple[int, ...]) -> int:
    """PQfn of the libpq that psycopg itself uses, on its connection."""
    folder = Path(str(psycopg.__file__)).parents[1] / "psycopg_binary.libs"
    libpq = ctypes.CDLL(str(next(folder.glob("libpq-*.so.5*"))))
    libpq.PQfn.restype = ctypes.c_void_p
    given = (_Argument * len(arguments))(*[_Argument(4, 1, _Value(integer=argument)) for argument in arguments])
    result, length = ctypes.c_int(), ctypes.c_int()
    pointer = ctypes.c_void_p(connection.pgconn.pgconn_ptr)  # type: ignore[attr-defined]
    done = libpq.PQfn(pointer, function, ctypes.byref(result), ctypes.byref(length), 1, given, len(arguments))
    assert done
    libpq.PQclear(ctypes.c_void_p(done))
    return result.value
