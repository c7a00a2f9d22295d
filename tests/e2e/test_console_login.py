"""People sign in to the console at the emulator, over TLS, with each kind of store."""

from __future__ import annotations

import json
import re
import ssl
from html import unescape
from pathlib import Path

import httpx

from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import AppCredentials, PrincipalKind, RegisteredPrincipal
from pgjit.demo.world import MIGRATIONS, POLICIES, REVIEWERS, World
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
        calls = [line for line in calls if line["type"] == "api.called" and not line["path"].startswith("/api/")]
        assert [(line["identity"]["display"], line["path"]) for line in calls] == [
            ("ana@example.com", "/signed-in"),
            ("ana@example.com", "/sign-out"),
        ]


async def test_who_cancels_is_not_signed_in(tmp_path: Path, database: DemoDatabase) -> None:
    async with (
        World(folder=tmp_path, database=database, config=CONFIG, console=True) as world,
        ConsoleClient(world) as client,
    ):
        response = await client.sign_in(None)
        assert response.status_code == 403
        assert "access_denied" in response.text


async def test_ana_signs_in_anew_before_an_approval_that_asks_for_it(tmp_path: Path, database: DemoDatabase) -> None:
    policies = tmp_path / "asked"
    policies.mkdir()
    text = (POLICIES / "orders-migration.yaml").read_text()
    changed = text.replace("  cap_at_least: 5m\n", "  cap_at_least: 5m\n  sign_in_within: 15m\n  acrs: [c1]\n")
    assert changed != text
    (policies / "orders-migration.yaml").write_text(changed)
    async with World(folder=tmp_path, database=database, config=CONFIG, console=True, policies=policies) as world:
        ana = person(world, "Ana", REVIEWERS)
        agent = world.emulator.add_app("an agent", groups=[MIGRATIONS])
        request = await _asked(world, agent)
        async with ConsoleClient(world) as client:
            await client.sign_in(ana)
            page = await client.get(f"/requests/{request}")
            form = dict(re.findall(r'name="(digest|asked)" value="([^"]+)"', page.text))
            refused = await client.post(f"/requests/{request}/approve", cap="whole", **form)
            assert (refused.status_code, "fresh-sign-in-needed" in refused.text) == (403, True)
            link = re.search(r'href="(/sign-in/start[^"]+)"', refused.text)
            assert link is not None
            back = await client.step_up(unescape(link[1]), ana)
            assert back.headers["location"] == f"/requests/{request}"
            approved = await client.post(f"/requests/{request}/approve", cap="whole", **form)
            assert approved.status_code == 303, approved.text
            assert "approved" in (await client.get(f"/requests/{request}")).text


async def _asked(world: World, agent: AppCredentials) -> str:
    """The id of a request that the agent made by the HTTP API."""
    tls = ssl.create_default_context(cafile=str(world.certificates.authority))
    token = world.emulator.issue(agent, aud=world.emulator.people_audience)
    async with httpx.AsyncClient(base_url=world.console_url, verify=tls, timeout=60, trust_env=False) as http:
        body = {"policy": "orders-migration", "reason": "an index"}
        made = await http.post("/api/v1/requests", json=body, headers={"authorization": f"Bearer {token}"})
    assert made.status_code == 202, made.text
    return str(made.json()["id"])
