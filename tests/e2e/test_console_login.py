"""People sign in to the console at the emulator, over TLS, with each kind of store."""

from __future__ import annotations

import json
from pathlib import Path

from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import PrincipalKind, RegisteredPrincipal
from pgjit.demo.world import REVIEWERS, World
from tests.e2e.signed_in import ConsoleClient
from tests.run.journal_text import journal_lines

AUDITORS = "11f2c0de-58a4-4a57-9c1f-3d1c0f3b7a10"
CONFIG = {"api": {"roles": {"auditor": [AUDITORS], "admin": []}}}


def person(world: World, name: str, *groups: str) -> RegisteredPrincipal:
    return world.emulator.directory.add(RegisteredPrincipal(kind=PrincipalKind.USER, display=name), groups)


async def test_ana_signs_in_and_out(tmp_path: Path, database: DemoDatabase) -> None:
    async with World(folder=tmp_path, database=database, config=CONFIG, console=True) as world:
        ana = person(world, "Ana", REVIEWERS)
        async with ConsoleClient(world) as client:
            first = await client.http.get("/")
            assert (first.status_code, first.headers["location"]) == (303, "/sign-in?to=%2F")
            assert (await client.http.get("/api/v1/whoami")).status_code == 401
            response = await client.sign_in(ana)
            assert (response.status_code, response.headers["location"]) == (303, "/")
            page = await client.get("/")
            assert "ana@example.com" in page.text, page.text
            assert (await client.http.get("/static/console.css")).status_code == 200
            assert (await client.post("/sign-out")).headers["location"] == "/sign-in?out=true"
            assert (await client.http.get("/")).headers["location"] == "/sign-in?to=%2F"
        calls = [json.loads(line) for line in journal_lines(world.journal)]
        calls = [line for line in calls if line["type"] == "api.called"]
        assert [(line["identity"]["display"], line["path"]) for line in calls] == [("ana@example.com", "/signed-in")]


async def test_who_cancels_is_not_signed_in(tmp_path: Path, database: DemoDatabase) -> None:
    async with (
        World(folder=tmp_path, database=database, config=CONFIG, console=True) as world,
        ConsoleClient(world) as client,
    ):
        response = await client.sign_in(None)
        assert response.status_code == 403
        assert "access_denied" in response.text
