"""Every token of the table of attacks, shown by a real client: refused alike, one record each, told to nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.errors import TokenRefused
from tests.e2e.clients import psql
from tests.e2e.worlds import records
from tests.identity.token_attacks import ATTACKS, good
from tests.run.journal_text import journal_lines

_SWALLOWED = 1024 * 1024  # what is larger is not even read: the client may see no more than a closed connection
_PIECE = 10


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attacked(database: DemoDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One world for all of them: what one leaves behind, the next would meet."""
    async with World(folder=tmp_path_factory.mktemp("attacked"), database=database) as world:
        yield world


def pieces(token: str) -> set[str]:
    """Ten characters in a row of any segment: of long ones of their first and last thousand."""
    found = set()
    for segment in token.split("."):
        for part in {segment[:1000], segment[-1000:]}:
            found |= {part[start : start + _PIECE] for start in range(len(part) - _PIECE + 1)}
    return {piece for piece in found if piece.isascii() and len(set(piece)) > 4}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_refused_alike_and_recorded_once_with_its_reason(
    attacked: World, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG, "pgjit")
    attack, reason = ATTACKS[name]
    token = attack(attacked.emulator)
    before = len(journal_lines(attacked.journal))
    with pytest.raises(psycopg.OperationalError) as refused:
        # In a thread of its own: while libpq sends what is large, it waits for the proxy to read.
        await asyncio.to_thread(lambda: psycopg.connect(attacked.conninfo("jit-schema-checks"), password=token))
    written = journal_lines(attacked.journal)[before:]
    [record] = records(attacked, "login.refused")[-1:]
    assert len(written) == 1
    if reason == "token-too-large":
        assert record["reference"] in ("too-large", "token-too-large")
    else:
        assert record["reference"] == reason
    assert (record["sqlstate"], record["identity"], record["count"]) == ("28P01", None, 1)
    if len(token) < _SWALLOWED:
        fields = TokenRefused("any", "any").fields()
        assert str(refused.value).partition("FATAL:  ")[2] == f"{fields['M']}\nHINT:  {fields['H']}"
    shown = written[0] + caplog.text + str(refused.value)
    assert not any(piece in shown for piece in pieces(token))


@pytest.mark.asyncio(loop_scope="module")
async def test_after_all_of_them_a_good_token_gets_in(attacked: World) -> None:
    said = await psql(attacked, good(attacked.emulator), "jit-schema-checks", "SELECT 'in'")
    assert said.out == "in\n"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_good_token_is_in_no_log_and_no_record_either(
    attacked: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = good(attacked.emulator)
    await psql(attacked, token, "jit-schema-checks", "SELECT 1", "SELEC 2")
    await psql(attacked, token, "nobody's", "SELECT 1", connection="nowhere")
    everywhere = caplog.text + "".join(
        path.read_text("utf-8", "replace")
        for path in Path(attacked.folder).rglob("*")
        if path.is_file() and path.suffix not in (".key", ".crt", ".py")
    )
    assert not any(piece in everywhere for piece in pieces(token))
