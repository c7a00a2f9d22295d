"""The commands of the command line against the real API, over TLS and with a person's token."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

import psycopg
import pytest

from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.test_http_api import ADMINS, add_person, api_world, token_of
from tests.e2e.worlds import add_reader


async def _pgjit(*arguments: str) -> int:
    """A command blocks until the API, which runs in this loop, has answered."""
    return await asyncio.to_thread(run, arguments)


def _sign_in(world: World, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PGJIT_API", f"https://localhost:{world.app.api_port}")
    monkeypatch.setenv("PGJIT_API_CA", str(world.certificates.authority))
    monkeypatch.setenv("PGJIT_TOKEN", token)


async def test_an_admin_lists_the_live_sessions(
    database: DemoDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with api_world(database, tmp_path) as world:
        _sign_in(world, monkeypatch, token_of(world, add_person(world, "ann", ADMINS)))
        assert await _pgjit("sessions") == Status.OK
        assert capsys.readouterr().out == "There is no session.\n"
        password = await world.token(add_reader(world))
        async with await psycopg.AsyncConnection.connect(world.conninfo("reader"), password=password):
            assert await _pgjit("sessions") == Status.OK
            table = capsys.readouterr().out
            assert await _pgjit("sessions", "--json") == Status.OK
            [session] = json.loads(capsys.readouterr().out)["items"]
        assert re.search(rf"^{session['id']}  idle +a reader +reader +\d+\w$", table, re.MULTILINE)
        assert max(map(len, table.splitlines())) <= 80


async def test_who_is_not_admitted_reads_why(
    database: DemoDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with api_world(database, tmp_path) as world:
        person = add_person(world, "ann", ADMINS)
        _sign_in(world, monkeypatch, world.emulator.issue(person))
        assert await _pgjit("sessions") == Status.FAILED
        assert "[token-refused]" in capsys.readouterr().err
        monkeypatch.setenv("PGJIT_API_CA", "system")
        assert await _pgjit("sessions") == Status.UNAVAILABLE
        assert "Give the CA of the API's certificate with --ca" in capsys.readouterr().err


async def test_a_watched_list_follows_the_events_of_the_api(
    database: DemoDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api_world(database, tmp_path) as world:
        _sign_in(world, monkeypatch, token_of(world, add_person(world, "ann", ADMINS)))
        watching = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pgjit", "sessions", "--watch", "--json", stdout=asyncio.subprocess.PIPE
        )  # fmt: skip
        assert watching.stdout is not None
        try:
            async with asyncio.timeout(120):
                assert json.loads(await watching.stdout.readline()) == {"items": [], "complete": True}
                password = await world.token(add_reader(world))
                async with await psycopg.AsyncConnection.connect(world.conninfo("reader"), password=password):
                    [session] = json.loads(await watching.stdout.readline())["items"]
                    assert session["policy"] == "reader"
                watching.send_signal(signal.SIGINT)
                assert await watching.wait() == Status.OK
        finally:
            if watching.returncode is None:
                watching.kill()
                await watching.wait()
