"""Any text is cut by pgjit as by the server: the same statements, columns, texts and names; or it is refused.

Texts are made of the pieces that lexers differ about, and go to the server past pgjit.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pglast.parser import ParseError, parse_sql_json
from psycopg import pq

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.errors import StatementRefused
from pgjit.sql.parse import read_message
from tests.e2e.loose import Line, LogSlice, open_loose, refusal
from tests.e2e.worlds import add_reader, records

E_ACUTE, SNAKE = "é", "\U0001f40d"


@pytest.fixture
async def world(loose_database: DemoDatabase, tmp_path: Path) -> AsyncIterator[World]:
    async with open_loose(loose_database, tmp_path) as served:
        yield served


OTHER_ENCODINGS = [
    b"SELECT '\x95\\' ; SELECT $$HIDDEN$$ --'", b"SELECT E'\x95\\' ; SELECT $$HIDDEN$$ --'", b"SELECT '\xe9'",
    b"SELECT '\xc0\xaf'", b"SELECT '\xed\xa0\x80'", b"SELECT '\xf4\x90\x80\x80'", b"SELECT 1 -- \xff",
]  # fmt: skip


async def test_bytes_of_another_encoding_never_reach_the_server(world: World) -> None:
    through = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
    [opened] = records(world, "session.opened")
    log = LogSlice(world.database, int(str(opened["backend_pid"])))
    for raw in OTHER_ENCODINGS:
        for send in (through.simple, through.extended):
            found = refusal(await asyncio.to_thread(send, raw))
            assert found is not None, raw
            assert found[:2] == ("22021", "pgjit:invalid-encoding")
    assert "duration" not in log.read()
    through.close()


# --- texts made of pieces: pgjit's parser and the server, side by side ------------------------------------

PIECES = [
    "'", "''", "E'", "U&'", "e'", "N'", "B'", '"', '""', 'U&"', "\\", "\\'", "\\\\", "\\0041", "\\x41", "$$", "$a$",
    "$a", "$1", "$", "--", "\n", "\r", "/*", "*/", "/", "*", "+", "-", "@", ";", ",", " ", "\t", "a", "AS", "x", "1",
    "1_0", "0x1F", ".", "::text", "||", "(", ")", E_ACUTE, E_ACUTE.upper(), SNAKE, "İ", "\u00a0", "UESCAPE '!'",
    "!0041",
]  # fmt: skip


def constants(text: str) -> list[list[str | None]]:
    """The columns of each statement that are plain texts, as pgjit's parser has them; None for others."""
    found = []
    for raw in json.loads(parse_sql_json(text)).get("stmts", []):
        targets: list[Any] = raw["stmt"].get("SelectStmt", {}).get("targetList", [])
        values = [target["ResTarget"].get("val", {}) for target in targets]
        found.append([value.get("A_Const", {}).get("sval", {}).get("sval") for value in values])
    return found


def read(text: str) -> list[list[str | None]] | None:
    try:
        read_message(text)
        return constants(text)
    except (StatementRefused, ParseError):
        return None


@pytest.fixture(scope="module")
def direct(loose_database: DemoDatabase) -> Iterator[Line]:
    line = Line.direct(loose_database)
    line.simple("SET standard_conforming_strings = on; SET client_encoding = 'UTF8'; SET statement_timeout = '5s'")
    line.simple("SET default_transaction_read_only = on")
    yield line
    line.close()


def random(examples: int) -> settings:
    return settings(
        max_examples=examples, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@pytest.mark.parametrize("examples", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_any_text_is_cut_by_pgjit_as_by_the_server(direct: Line, examples: int) -> None:
    compared: list[str] = []

    @random(examples)
    @given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
    @example(pieces=["E'", "\\'", ";", "'"])
    @example(pieces=["'", "\\", "'", " ", "AS", " ", '"', "x", "'", ",", " ", "'", '"'])
    def compare(pieces: list[str]) -> None:
        text = "SELECT " + "".join(pieces)
        mine = read(text)
        if mine is not None and agree(text, mine, direct):
            compared.append(text)

    compare()
    assert len(compared) > 25


def agree(text: str, mine: list[list[str | None]], direct: Line) -> bool:
    """Whether the server ran all of it, and then as it was read."""
    own = direct.simple(text)
    direct.simple("ROLLBACK")
    if any(result.error_field(pq.DiagnosticField.SQLSTATE) for result in own):
        return False
    told = [result for result in own if result.status == pq.ExecStatus.TUPLES_OK]
    assert len(told) == len(mine), text
    for result, values in zip(told, mine, strict=True):
        assert result.nfields == len(values), text
        for at, value in enumerate(values):
            if value is not None:
                assert (result.get_value(0, at) or b"").decode() == value
    return True


IDENTIFIERS = st.text(st.sampled_from(f"abAB_19$é{E_ACUTE.upper()}İıß{SNAKE}"), min_size=1, max_size=70)


@pytest.mark.parametrize("examples", [200, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_name_is_the_servers(direct: Line, examples: int) -> None:
    @random(examples)
    @given(name=IDENTIFIERS, quoted=st.sampled_from(["{}", '"{}"', 'U&"{}"', 'U&"{}\\0041"', 'u&"\\+01F40D{}"']))
    @example(name="a" * 62 + E_ACUTE, quoted="{}")
    @example(name=E_ACUTE * 32, quoted='"{}"')
    def compare(name: str, quoted: str) -> None:
        compare_name(direct, name, quoted)

    compare()


def compare_name(direct: Line, name: str, quoted: str) -> None:
    """The server's own error tells how it reads the name of what is not there."""
    written = quoted.format(name)
    for text, kind in (
        (f"SELECT * FROM nowhere.{written}", "relations"),
        (f"SELECT nowhere.{written}()", "functions"),
    ):
        try:
            (statement,) = read_message(text).statements
        except (StatementRefused, ValueError):
            continue
        fact = getattr(statement, kind)
        if len(fact) != 1:
            continue
        [result] = direct.simple(text)
        said = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
        if "syntax error" not in said:
            assert said in (
                f'relation "nowhere.{fact[0].parts[-1]}" does not exist', 'schema "nowhere" does not exist',
            ), (said, fact)  # fmt: skip
        direct_name = direct.simple(f"SELECT 1 AS {written}")[0]
        if direct_name.nfields == 1:
            assert (direct_name.fname(0) or b"").decode() == fact[0].parts[-1]
