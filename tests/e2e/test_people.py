"""People at work with the command line, against a proxy with clients, in one world: review, revoke, kill, lock.

Each step is seen at three places: what the command prints, what the agent receives, and the journal.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from pgjit.cli.status import Status
from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator.directory import RegisteredPrincipal
from pgjit.demo.emulator.settings import AppCredentials
from pgjit.demo.world import World
from tests.e2e.test_cli_by_api import _pgjit, _sign_in
from tests.e2e.test_http_api import ADMINS, add_person, client, token_of
from tests.e2e.test_review_at_login import REVIEWED, connect, refusal, reviewed_world
from tests.e2e.worlds import add_reader, add_writer, ask, records
from tests.run.waiting import until, until_it_holds

Connection = psycopg.AsyncConnection[tuple[object, ...]]


class People:
    """The commands of one world, by whoever is signed in."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.world, self._monkeypatch, self._capsys = world, monkeypatch, capsys

    def sign_in(self, person: RegisteredPrincipal) -> None:
        _sign_in(self.world, self._monkeypatch, token_of(self.world, person))

    async def run(self, *arguments: str, status: Status = Status.OK) -> str:
        """What the command printed."""
        self._capsys.readouterr()
        left = await _pgjit(*arguments)
        printed = self._capsys.readouterr()
        assert left == status, printed.err
        return printed.out if status == Status.OK else printed.err

    async def items(self, *arguments: str) -> list[dict[str, object]]:
        return list(json.loads(await self.run(*arguments, "--json"))["items"])


async def _busy(world: World, connection: Connection) -> asyncio.Task[object]:
    """The connection runs a statement that nobody would wait for."""
    running: asyncio.Task[object] = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
    sleeps = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
    await until_it_holds(lambda: ask(world.database, sleeps, connection.info.backend_pid))
    return running


async def _last_error(connection: Connection, running: asyncio.Task[object]) -> str:
    with pytest.raises(psycopg.Error) as error:
        await running
    await connection.close()
    return str(error.value)


async def _proof(world: World, reason: str) -> None:
    """The session that ended for this reason has a proof."""
    await until(lambda: [one for one in records(world, "session.ended") if one["reason"] == reason])
    [record] = [one for one in records(world, "session.ended") if one["reason"] == reason]
    proof = record["proof"]
    assert isinstance(proof, dict)
    assert (proof["gone"], proof["by"]) == (True, "look")


async def _review_and_kill(people: People, agent: AppCredentials, rita: RegisteredPrincipal) -> None:
    world = people.world
    refused = await refusal(world, agent, "-c pgjit.reason=diff")
    people.sign_in(rita)
    [request] = await people.items("requests")
    assert str(request["id"]) in refused
    await people.run("approve", str(request["id"]), "--comment", "go", "--yes")
    connection = await connect(world, agent)
    running = await _busy(world, connection)
    people.sign_in(add_person(world, "ann", ADMINS))
    [session] = await people.items("sessions")
    assert session["state"] == "active"
    await people.run("kill", str(session["id"]), "--reason", "too much load", "--yes")
    assert "too much load" in await _last_error(connection, running)
    await _proof(world, "killed")
    async with await connect(world, agent):
        pass  # the window is open still: nobody approves twice


async def _revoke(people: People, agent: AppCredentials) -> None:
    world = people.world
    connection = await connect(world, agent)
    running = await _busy(world, connection)
    [window] = await people.items("windows", "--state", "open")
    await people.run("revoke", str(window["id"]), "--reason", "wrong table", "--yes")
    error = await _last_error(connection, running)
    assert "was revoked" in error
    assert "wrong table" in error
    await _proof(world, "revoked")
    assert "was revoked" in await refusal(world, agent)
    [revoked] = await until(lambda: records(world, "window.revoked"))
    assert revoked["reason"] == "wrong table"


async def _lock(people: People) -> None:
    """A lock ends what is open and lets nobody in; lifted, another agent opens a window."""
    world = people.world
    writer = await world.token(add_writer(world))
    conninfo = world.conninfo("writer", "write-target")
    connection = await psycopg.AsyncConnection.connect(conninfo, password=writer, autocommit=True)
    running = await _busy(world, connection)
    await people.run("lock", "--policy", "writer", "--reason", "incident 7", "--yes")
    assert "incident 7" in await _last_error(connection, running)
    await _proof(world, "locked")
    other = await world.token(add_writer(world))
    with pytest.raises(psycopg.OperationalError, match="incident 7"):
        await psycopg.AsyncConnection.connect(conninfo, password=other)
    [lock] = await people.items("locks")
    await people.run("unlock", str(lock["id"]), "--reason", "over")
    await (await psycopg.AsyncConnection.connect(conninfo, password=other)).close()


async def _give_back(people: People) -> None:
    """A requester ends the own window, and sees no other."""
    world = people.world
    agent = add_writer(world)
    conninfo = world.conninfo("writer", "write-target")
    async with (
        await psycopg.AsyncConnection.connect(conninfo, password=await world.token(agent)),
        client(world, world.emulator.issue(agent, aud=world.emulator.people_audience)) as own,
    ):
        [mine] = (await own.get("windows?state=open")).json()["items"]
        answer = await own.post(f"windows/{mine['id']}/revoke", json={"reason": "done"})
        assert answer.status_code == 200, answer.text
        await until(lambda: len(records(world, "window.revoked")) == 2)


async def _break_glass(people: People, rita: RegisteredPrincipal) -> None:
    world = people.world
    policies = world.app._config.policies
    terms = replace(REVIEWED, break_glass=True)
    policies["writer"] = replace(policies["writer"], ttl=timedelta(minutes=20), terms=terms)
    token = await world.token(add_writer(world))
    await (
        await psycopg.AsyncConnection.connect(
            world.conninfo("writer", "write-target"), password=token, options="-c pgjit.reason=outage"
        )
    ).close()
    await until(lambda: records(world, "break_glass.used"))
    people.sign_in(rita)
    [unsigned] = await people.items("windows", "--unsigned")
    ended = len(records(world, "window.ended"))
    early = await people.run("sign-off", str(unsigned["id"]), "--comment", "seen", status=Status.FAILED)
    assert "window is not over yet" in early
    people.sign_in(add_person(world, "adam", ADMINS))
    await people.run("revoke", str(unsigned["id"]), "--reason", "it is over", "--yes")
    await until(lambda: len(records(world, "window.ended")) > ended)
    people.sign_in(rita)
    await people.run("sign-off", str(unsigned["id"]), "--comment", "seen")
    assert await people.items("windows", "--unsigned") == []
    await until(lambda: records(world, "break_glass.signed_off"))


async def test_people_approve_kill_revoke_lock_and_sign_off(
    database: DemoDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with reviewed_world(database, tmp_path) as (world, rita):
        people = People(world, monkeypatch, capsys)
        agent = add_reader(world)
        await _review_and_kill(people, agent, rita)
        await _revoke(people, agent)
        await _lock(people)
        await _give_back(people)
        await _break_glass(people, rita)
