"""The commands of people against the API itself, in this process: what they send is what it takes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from pgjit.cli import api_client
from pgjit.cli.run import run
from pgjit.cli.status import Status
from tests.api.people import PEOPLE, People

As = Callable[..., Awaitable[int]]


class _IntoLoop(httpx.BaseTransport):
    """Requests of a command, which runs in a thread, to an application in the loop."""

    def __init__(self, application: httpx.AsyncBaseTransport) -> None:
        self._application = application
        self._loop = asyncio.get_running_loop()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run_coroutine_threadsafe(self._answer(request), self._loop).result(60)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        sent = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await self._application.handle_async_request(sent)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


@pytest.fixture
async def as_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[As]:
    """Runs a command as one of `PEOPLE`."""
    monkeypatch.setenv("COLUMNS", "80")
    async with People(tmp_path) as people:
        people.provider.people |= {f"a.{name}.c": each for name, each in PEOPLE.items()}
        way = _IntoLoop(httpx.ASGITransport(people.application, client=("10.0.0.9", 40000)))
        monkeypatch.setattr(api_client, "transport", lambda ca: way)

        async def as_person(name: str, *arguments: str) -> int:
            monkeypatch.setenv("PGJIT_API", "https://pgjit")
            monkeypatch.setenv("PGJIT_TOKEN", f"a.{name}.c")
            return await asyncio.to_thread(run, arguments)

        yield as_person


async def test_a_request_is_made_approved_and_shown(as_person: As, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("request", "reviewed", "--reason", "week 47", "--ticket", "OPS-12", "--ttl", "5m", "--json")
    assert await as_person("requester", *asked) == Status.OK
    made = json.loads(capsys.readouterr().out)
    name = made["id"]
    assert (made["state"], made["ttl_seconds"], made["ticket"]) == ("pending", 300, "OPS-12")
    assert await as_person("requester", "approve", name, "--yes") == Status.FAILED
    assert "error: " in capsys.readouterr().err

    assert await as_person("reviewer", "requests", "--state", "pending") == Status.OK
    assert re.search(rf"^{name}  pending  requester", capsys.readouterr().out, re.MULTILINE)
    assert await as_person("reviewer", "approve", name, "--digest", "0" * 64, "--yes") == Status.FAILED
    assert "[approval-void]" in capsys.readouterr().err
    assert await as_person("reviewer", "approve", name, "--ttl", "3m", "--comment", "go", "--yes") == Status.OK
    out = " ".join(capsys.readouterr().out.split())
    assert "reason week 47" in out
    assert f"digest {made['digest']}" in out
    assert f"request {name} is approved" in out
    assert await as_person("reviewer2", "refuse", name, "--reason", "too late") == Status.FAILED
    assert "[request-decided]" in capsys.readouterr().err

    assert await as_person("requester", "requests", name) == Status.OK
    out = " ".join(capsys.readouterr().out.split())
    assert "verdict approved by reviewer" in out
    assert "at most 3 min; go" in out


async def test_a_request_is_refused_or_withdrawn(as_person: As, capsys: pytest.CaptureFixture[str]) -> None:
    assert await as_person("requester", "request", "reviewed", "--reason", "one", "--json") == Status.OK
    first = json.loads(capsys.readouterr().out)["id"]
    assert await as_person("requester", "withdraw", first) == Status.OK
    assert capsys.readouterr().out == f"request {first} is withdrawn\n"
    assert await as_person("requester", "request", "reviewed", "--reason", "two", "--json") == Status.OK
    second = json.loads(capsys.readouterr().out)["id"]
    assert await as_person("reviewer", "refuse", second, "--reason", "after the release") == Status.OK
    assert capsys.readouterr().out == f"request {second} is refused\n"


async def test_a_lock_is_set_listed_and_lifted(as_person: As, capsys: pytest.CaptureFixture[str]) -> None:
    locked = ("lock", "--policy", "reviewed", "--reason", "incident", "--yes")
    assert await as_person("requester", *locked) == Status.FAILED
    assert "[role-required]" in capsys.readouterr().err
    assert await as_person("admin", *locked) == Status.OK
    lock = capsys.readouterr().out.split()[1]
    assert await as_person("admin", "locks") == Status.OK
    assert re.search(rf"^{lock} +policy +reviewed +no end  incident$", capsys.readouterr().out, re.MULTILINE)
    assert await as_person("admin", "unlock", lock, "--reason", "over") == Status.OK


@pytest.mark.parametrize("scope", [("--all",), ("--policy", "reviewed"), ("--identity", "tenant/oid-requester")])
async def test_what_is_revoked_is_named_as_the_api_takes_it(as_person: As, scope: tuple[str, ...]) -> None:
    assert await as_person("admin", "revoke", *scope, "--reason", "leaked", "--yes") == Status.OK
    assert await as_person("auditor", "revoke", *scope, "--reason", "leaked", "--yes") == Status.FAILED


@pytest.mark.parametrize("command", [("requests", "r_none"), ("windows", "w_none")])
async def test_what_is_not_known_is_reported(
    as_person: As, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await as_person("admin", *command) == Status.FAILED
    assert re.search(r"\[\w+-unknown\]", capsys.readouterr().err)


@pytest.mark.parametrize("command", ["requests", "windows", "sessions"])
async def test_lists_are_open_to_every_role(as_person: As, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("requester", "auditor", "admin"):
        assert await as_person(name, command) == Status.OK
        assert "There is no" in capsys.readouterr().out
