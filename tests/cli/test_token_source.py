"""Which source a token comes from, and that what is no token is never passed on or shown."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.cli.token_source import TokenOrigin, choose_source, fetch_token
from pgjit.demo.emulator import Emulator, Fault, FaultKind, PrincipalKind, RegisteredPrincipal
from pgjit.errors import ServerUnavailable
from tests.demo.emulator.clouds import Cast, cast
from tests.fixtures.tokens import AUDIENCE, GROUP, TENANT, agent_app, emulator
from tests.run.processes import own

__all__ = ["cast", "emulator"]  # fixtures

TOKEN = f"eyJ0eXAiOiJKV1QifQ.{'c2VjcmV0'}.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("AZURE_", "PGJIT_", "IDENTITY_")):
            monkeypatch.delenv(name)
    yield
    logging.getLogger("azure").setLevel(logging.NOTSET)


CHOICES: dict[str, tuple[tuple[str, ...], TokenOrigin]] = {
    "nothing": ((), TokenOrigin.AZURE_CLI),
    "a token": (("PGJIT_TOKEN",), TokenOrigin.VARIABLE),
    "a token before all else": (
        ("AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT", "PGJIT_EMULATOR", "PGJIT_TOKEN"), TokenOrigin.VARIABLE,
    ),
    "an emulator before Azure": (("AZURE_CLIENT_SECRET", "PGJIT_EMULATOR"), TokenOrigin.EMULATOR),
    "a federated token": (("AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT"), TokenOrigin.WORKLOAD_IDENTITY),
    "a secret": (("AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT"), TokenOrigin.SERVICE_PRINCIPAL),
    "a certificate": (("AZURE_CLIENT_CERTIFICATE_PATH",), TokenOrigin.SERVICE_PRINCIPAL),
    "App Service": (("IDENTITY_ENDPOINT",), TokenOrigin.MANAGED_IDENTITY),
    "a machine": (("AZURE_POD_IDENTITY_AUTHORITY_HOST",), TokenOrigin.MANAGED_IDENTITY),
    "what has no meaning here": (("AZURE_CLIENT_ID", "AZURE_TENANT_ID"), TokenOrigin.AZURE_CLI),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_what_is_set_decides(name: str) -> None:
    names, source = CHOICES[name]
    assert choose_source(dict.fromkeys(names, "x")) is source
    assert choose_source(dict.fromkeys(names, "")) is TokenOrigin.AZURE_CLI


@pytest.mark.parametrize("text", [TOKEN, f"  {TOKEN}\n"])
def test_a_token_in_a_variable_is_printed_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.setenv("PGJIT_TOKEN", text)
    assert run(["token"]) == Status.OK
    assert capsys.readouterr() == (f"{TOKEN}\n", "")
    assert run(["token", "--json"]) == Status.OK
    assert json.loads(capsys.readouterr().out) == {"token": TOKEN, "source": "variable", "expires_at": None}


@pytest.mark.parametrize(
    "text",
    ["", "secret-thing", "a.b", "a.b.c.d", "a.b.c d", "a.b.c\nd", "Bearer a.b.c", "a.b.c==", f"{'a' * 66_000}.b.c"],
)
def test_what_does_not_look_like_a_token_is_not_passed_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.setenv("PGJIT_TOKEN", text)
    assert run(["token", "--source", "variable"]) == Status.NO_TOKEN
    out, err = capsys.readouterr()
    assert out == ""
    assert "no token from `variable`" in err
    assert not text or text not in err


def test_what_the_token_is_for_has_to_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    for source in TokenOrigin:
        if source is not TokenOrigin.VARIABLE:
            assert run(["token", "--source", source]) == Status.NO_TOKEN
            assert "--audience" in capsys.readouterr().err


def test_a_source_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["token", "--source", "crystal-ball"]) == Status.USAGE
    assert capsys.readouterr().out == ""


def test_who_looks_at_it_is_warned(tmp_path: Path) -> None:
    reading, terminal = os.openpty()
    try:
        environment = {**os.environ, "PGJIT_TOKEN": TOKEN}
        with own(sys.executable, "-m", "pgjit", "token", stdout=terminal, env=environment) as process:
            _, err = process.communicate(timeout=60)
        assert os.read(reading, 4096).decode().strip() == TOKEN
    finally:
        os.close(reading)
        os.close(terminal)
    assert process.returncode == 0
    assert "warning" in err
    assert TOKEN not in err


# --- the emulator and Azure --------------------------------------------------------------------------------


def emulated(emulator: Emulator) -> dict[str, str]:
    app = agent_app(emulator)
    return {
        "PGJIT_EMULATOR": emulator.url,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": app.client_id,
        "AZURE_CLIENT_SECRET": app.client_secret,
    }


async def fetch(source: TokenOrigin, environment: dict[str, str], audience: str = AUDIENCE) -> str:
    token = await asyncio.to_thread(fetch_token, source, audience, environment)
    assert token.source is source
    assert token.expires_at is not None
    assert timedelta(minutes=70) < token.expires_at - datetime.now(UTC) < timedelta(hours=25)
    assert token.text not in repr(token)
    return token.text


@pytest.mark.parametrize("audience", [AUDIENCE, f"api://{AUDIENCE}", f"{AUDIENCE}/.default"])
async def test_the_emulator_gives_one(emulator: Emulator, audience: str) -> None:
    claims = jwt.decode(
        await fetch(TokenOrigin.EMULATOR, emulated(emulator), audience), options={"verify_signature": False}
    )
    assert claims["groups"] == [GROUP]


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "secret": ({"AZURE_CLIENT_SECRET": "guessed-it"}, "AADSTS7000215"),
    "no secret": ({"AZURE_CLIENT_SECRET": ""}, "AZURE_CLIENT_SECRET is not set"),
    "tenant": ({"AZURE_TENANT_ID": GROUP}, "AADSTS90002"),
    "nobody there": ({"PGJIT_EMULATOR": "http://127.0.0.1:9"}, "ConnectError"),
    "no address": ({"PGJIT_EMULATOR": "nonsense"}, "UnsupportedProtocol"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_why_the_emulator_gives_none_is_told(emulator: Emulator, name: str) -> None:
    changes, told = WRONG[name]
    with pytest.raises(ServerUnavailable) as refused:
        await fetch(TokenOrigin.EMULATOR, {**emulated(emulator), **changes})
    assert told in refused.value.terminal()
    assert "guessed-it" not in refused.value.terminal()


@pytest.mark.parametrize(
    "body", ["[]", "{}", "nonsense", '{"access_token": "a b", "expires_in": 5}', '{"access_token": 1}']
)
async def test_an_answer_that_is_none_is_no_token(emulator: Emulator, body: str) -> None:
    emulator.faults.put("token", Fault(kind=FaultKind.BODY, body=body))
    with pytest.raises(ServerUnavailable, match="no token"):
        await fetch(TokenOrigin.EMULATOR, emulated(emulator))


async def test_a_managed_identity_gives_one(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = emulator.directory.add(
        RegisteredPrincipal(kind=PrincipalKind.MANAGED_IDENTITY, display="machine"), [GROUP]
    )
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", emulator.identity_url)
    for environment in ({}, {"AZURE_CLIENT_ID": str(machine.client_id)}):
        token = await fetch(TokenOrigin.MANAGED_IDENTITY, environment)
        assert jwt.decode(token, options={"verify_signature": False})["oid"] == machine.oid
    with pytest.raises(ServerUnavailable) as refused:
        await fetch(TokenOrigin.MANAGED_IDENTITY, {"AZURE_CLIENT_ID": GROUP})
    assert "Identity not found" in refused.value.terminal()


AZ = """#!/bin/sh
[ "$*" = "account get-access-token --output json --resource {audience}" ] || {{ echo "unknown: $*" >&2; exit 2; }}
echo '{{"accessToken": "{token}", "expires_on": {ends}, "tokenType": "Bearer"}}'
"""


async def test_the_azure_cli_gives_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = int(datetime.now(UTC).timestamp()) + 4500
    command = tmp_path / "az"
    command.write_text(AZ.format(audience=AUDIENCE, token=TOKEN, ends=ends))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert await fetch(TokenOrigin.AZURE_CLI, {}) == TOKEN
    with pytest.raises(ServerUnavailable, match="no token"):
        await fetch(TokenOrigin.AZURE_CLI, {}, "another")


async def test_without_the_azure_cli_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerUnavailable) as refused:
        await fetch(TokenOrigin.AZURE_CLI, {})
    assert "Azure CLI not found on path" in refused.value.terminal()


@pytest.mark.parametrize("source", [TokenOrigin.SERVICE_PRINCIPAL, TokenOrigin.WORKLOAD_IDENTITY])
def test_a_source_of_which_nothing_is_set_gives_none(source: TokenOrigin) -> None:
    with pytest.raises(ServerUnavailable, match="no token"):
        fetch_token(source, AUDIENCE, {})


async def test_a_person_signs_in_with_a_code_in_any_browser(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cast.emulator.cloud.codes.approver, cast.emulator.cloud.codes.interval = cast.person.oid, 1
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", cast.emulator.tls_url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cast.certificates.authority))
    environment = {"AZURE_TENANT_ID": TENANT, "AZURE_AUTHORITY_HOST": cast.emulator.tls_url}
    token = await fetch(TokenOrigin.DEVICE_CODE, environment)
    assert jwt.decode(token, options={"verify_signature": False})["oid"] == cast.person.oid
    assert re.search(r"To sign in, open http\S+ and enter the code [A-Z]{9}\n", capsys.readouterr().err)
