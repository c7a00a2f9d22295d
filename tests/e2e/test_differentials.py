"""What pgjit reads in a text is what the server runs: as many statements, each with the same text and result.

Where the two could read a text differently (another encoding, another rule for backslashes), it is refused.
"""

# ruff: noqa: E501 - texts read better in rows
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from psycopg import pq

from pgjit.demo.database import DemoDatabase
from tests.e2e.loose import Line, open_loose, refusal
from tests.e2e.worlds import add_reader, records

LONG = "é" * 40  # 80 bytes: the server keeps 63 of them, cut between two characters
TEXTS: list[str] = [
    "SELECT 'a\\'; SELECT 'b'", "SELECT E'a\\'; SELECT 1 --'", "SELECT E'a\\\\'; SELECT 2", "SELECT 'it''s; one'; SELECT 2",
    "SELECT $$a;b$$; SELECT 2", "SELECT $x$ $$;$$ $y$ $x$; SELECT 3", "SELECT $x$a$X$;b$x$", "SELECT $é$;$é$; SELECT 2",
    "SELECT U&'d\\0061t\\+000061;'; SELECT 2", 'SELECT 1 AS U&"d\\0061t;a"', "SELECT U&'d!0061t' UESCAPE '!'; SELECT 2",
    "SELECT 1 /* ; /* ; */ ; */; SELECT 2", "SELECT 1 -- ; SELECT 5\n; SELECT 2", "SELECT 1 --\r; SELECT 2", "/* SELECT 0; */ SELECT 1",
    f'SELECT 1 AS "{LONG}"; SELECT 2', f'SELECT "{LONG}" FROM (SELECT 7 AS "{LONG[:31]}") x', 'SELECT 1 AS "a;b""c"',
    "SELECT 1 AS ÄB, 2 AS aB", "SELECT 1_000, 0x1F, 0b11, 0o17, 1e3, .5", "SELECT 1;;; SELECT 2;", "SELECT 'a'\n'b;'; SELECT 2", "SELECT 'a' -- x;\n 'b'",
    "SELECT 1 + -- one;\n 2", "SELECT 2 */* ; */3", "SELECT 5 -/* ; */- 3", "SELECT 1AS a", "SELECT B'101', X'1F', N'n;'",
    "SELECT '\u00a0' ;\u000b SELECT 2", "SELECT\f1\v;\tSELECT\r\n2", "SELECT '\U0001f40d;', '\u2028', '\ufeff'",
    "SELECT 1 AS select_; SELECT 2 AS \"SELECT\"", "SELECT (SELECT 1; SELECT 2)", "SELECT 'open; SELECT 1", "SELECT $a$ open; SELECT 1", "SELECT 1 /* open; SELECT 2",
]  # fmt: skip
REFUSED: list[str | bytes] = [
    "SET standard_conforming_strings = off", "SET client_encoding = 'SJIS'", "SET NAMES 'LATIN1'", "SET backslash_quote = on",
    "SELECT set_config('standard_conforming_strings', 'off', false)", "SET escape_string_warning = off; SET standard_conforming_strings TO 'off'",
    b"SELECT '\x95\x5c' ; SELECT $$hidden$$ --'", b"SELECT '\xc0\xa7; SELECT 1'", b"SELECT '\xff'", b"SELECT '\xed\xa0\x80'",
]  # fmt: skip


def said(results: list[pq.abc.PGresult]) -> list[tuple[list[bytes | None], list[bytes | None]] | bytes | None]:
    """Names and values of each result; of an error its SQLSTATE."""
    told: list[tuple[list[bytes | None], list[bytes | None]] | bytes | None] = []
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            told.append(result.error_field(pq.DiagnosticField.SQLSTATE))
        elif result.status == pq.ExecStatus.TUPLES_OK:
            columns = range(result.nfields)
            told.append(([result.fname(at) for at in columns], [result.get_value(0, at) for at in columns]))
    return told


async def test_every_text_is_as_many_statements_as_the_server_runs_and_the_same_ones(
    loose_database: DemoDatabase, tmp_path: Path
) -> None:
    async with open_loose(loose_database, tmp_path) as world:
        line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
        direct = await asyncio.to_thread(Line.direct, loose_database)
        await asyncio.to_thread(direct.simple, "SET default_transaction_read_only = on")
        differ = []
        for text in TEXTS:
            before = len(records(world, "execution"))
            through = said(await asyncio.to_thread(line.simple, text))
            wanted = said(await asyncio.to_thread(direct.simple, text))
            recorded = records(world, "execution")[before:]
            if through != wanted:
                differ.append((text, through, wanted))
            if recorded[0]["decision"] == "deny" or isinstance(wanted[0], bytes):
                assert wanted == [
                    b"42601"
                ]  # the server runs nothing of it: a vertical tab is no blank before version 16
                continue
            alone = [said(await asyncio.to_thread(direct.simple, str(record["statement"]))) for record in recorded]
            apart = [one for each in alone for one in each]
            if apart != wanted:
                differ.append((text, apart, wanted))
        line.close()
        direct.close()
    assert differ == []


@pytest.mark.parametrize("way", ["simple", "extended"])
async def test_what_would_make_the_two_read_differently_is_refused(
    loose_database: DemoDatabase, tmp_path: Path, way: str
) -> None:
    async with open_loose(loose_database, tmp_path) as world:
        line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
        passed = [
            text
            for text in REFUSED
            if refusal(await asyncio.to_thread(line.simple if way == "simple" else line.extended, text)) is None
        ]
        line.close()
    assert passed == []
