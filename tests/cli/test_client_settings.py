"""What a client that is run has in its environment, and that it takes the place of pgjit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager

import pytest

from pgjit.cli.client_settings import ProxyAddress, client_environment
from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.cli.token_source import Token, TokenOrigin, choose_source
from tests.run.processes import own

TOKEN = "aaaa.bbbb.cccc"
SHOWN = "import json, os; print(json.dumps({**os.environ, 'pid': str(os.getpid())}))"


def environment(given: dict[str, str], policy: str | None = "reader") -> dict[str, str]:
    place = ProxyAddress("pgjit.example.com", 6432, "prod-replica", policy, "/etc/ca.crt")
    return client_environment(place, Token(TOKEN, TokenOrigin.VARIABLE), given)


def test_a_client_is_told_where_to_and_how_well_protected() -> None:
    assert environment({}) == {
        "PGHOST": "pgjit.example.com",
        "PGPORT": "6432",
        "PGDATABASE": "prod-replica",
        "PGUSER": "reader",
        "PGPASSWORD": TOKEN,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/ca.crt",
    }
    assert environment({}, policy=None)["PGUSER"] == "pgjit"


@pytest.mark.parametrize(
    "name",
    [
        "PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR", "PGSSLNEGOTIATION", "PGSSLCERT", "PGSSLKEY", "PGPASSFILE",
        "PGREQUIREAUTH", "PGTARGETSESSIONATTRS", "PGGSSENCMODE", "PGSOMETHINGNEW", "PGJIT_TOKEN",
    ],
)  # fmt: skip
def test_nothing_of_the_callers_leads_elsewhere(name: str) -> None:
    assert environment({name: "x"}) == environment({})


@pytest.mark.parametrize(
    "name", ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT"]
)
def test_what_is_set_is_not_the_callers(name: str) -> None:
    assert environment({name: "x"}) == environment({})


@pytest.mark.parametrize(
    "name",
    [
        "PGOPTIONS",
        "PGAPPNAME",
        "PGCONNECT_TIMEOUT",
        "PATH",
        "HOME",
        "PGJIT_HOST",
        "PSQLRC",
        "AZURE_TENANT_ID",
        "MSIX",
    ],
)
def test_what_says_something_else_is_kept(name: str) -> None:
    assert environment({name: "x"}) == {**environment({}), name: "x"}


@pytest.mark.parametrize(
    "name",
    [
        "AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID", "AZURE_CLIENT_CERTIFICATE_PATH",
        "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_USERNAME", "AZURE_PASSWORD",
        "AZURE_POD_IDENTITY_AUTHORITY_HOST", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT",
        "MSI_ENDPOINT", "MSI_SECRET", "IMDS_ENDPOINT", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_URL", "SYSTEM_ACCESSTOKEN", "azure_client_secret",
    ],
)  # fmt: skip
def test_what_more_tokens_could_be_had_with_is_not_passed_on(name: str) -> None:
    assert environment({name: "x"}) == environment({})


def test_nothing_that_a_source_of_tokens_is_found_by_is_passed_on() -> None:
    signs = (
        "PGJIT_TOKEN", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH",
        "IDENTITY_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    )  # fmt: skip
    for name in signs:
        assert choose_source({name: "x"}) is not TokenOrigin.AZURE_CLI, name
    assert choose_source(environment(dict.fromkeys(signs, "x"))) is TokenOrigin.AZURE_CLI


def start(*arguments: str, **variables: str) -> AbstractContextManager[subprocess.Popen[str]]:
    environment = {**os.environ, "PGJIT_HOST": "localhost", "PGJIT_TOKEN": TOKEN, **variables}
    return own(sys.executable, "-m", "pgjit", *arguments, env=environment)


@pytest.mark.parametrize("dashes", [["--"], []])
def test_a_command_takes_the_place_of_pgjit(dashes: list[str]) -> None:
    command = ("exec", "--port", "6543", "prod", *dashes, sys.executable, "-c", SHOWN)
    with start(*command, PGJIT_POLICY="reader") as process:
        out, err = process.communicate(timeout=60)
    assert err == ""
    shown = json.loads(out)
    assert shown["pid"] == str(process.pid)
    names = ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSSLROOTCERT")
    assert [shown[name] for name in names] == ["localhost", "6543", "prod", "reader", TOKEN, "system"]
    assert "PGJIT_TOKEN" not in shown


def test_its_exit_code_is_passed_on() -> None:
    with start("exec", "prod", "--", sys.executable, "-c", "raise SystemExit(37)") as process:
        process.communicate(timeout=60)
    assert process.returncode == 37


def test_a_signal_reaches_it() -> None:
    program = """if True:
        import signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(41))
        print("up", flush=True)
        signal.pause()
    """
    with start("exec", "prod", "--", sys.executable, "-c", program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 41


def test_options_behind_the_connection_are_the_clients_own() -> None:
    with start("psql", "--psql", "/bin/echo", "prod", "-c", "SELECT 1", "--host", "x", "--help") as process:
        out, _ = process.communicate(timeout=60)
    assert out == "-c SELECT 1 --host x --help\n"


def test_a_client_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PGJIT_TOKEN", TOKEN)
    assert run(["exec", "--host", "h", "prod", "--", "/nowhere/psql"]) == Status.UNAVAILABLE
    assert capsys.readouterr().err == "error: /nowhere/psql: No such file or directory\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["psql"],
        ["psql", "--host", "h"],
        ["exec", "--host", "h", "prod"],
        ["exec", "--host", "h", "prod", "--"],
        ["psql", "prod"],
        ["exec", "prod", "--", "true"],
    ],
)
def test_what_is_missing_is_wrong_usage(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PGJIT_TOKEN", TOKEN)
    monkeypatch.delenv("PGJIT_HOST", raising=False)
    assert run(arguments) == Status.USAGE
    assert TOKEN not in capsys.readouterr().err


def test_where_pgjit_is_has_to_be_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("PGJIT_HOST", raising=False)
    for arguments in (["psql", "prod-replica"], ["exec", "prod-replica", "--", "true"]):
        assert run(arguments) == Status.USAGE  # before any token is fetched
        assert "give --host, or set PGJIT_HOST" in capsys.readouterr().err


def test_without_a_token_nothing_is_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PGJIT_TOKEN", "no token at all")
    assert run(["exec", "--host", "h", "prod", "--", "/bin/echo", "was run"]) == Status.NO_TOKEN
    assert "was run" not in capsys.readouterr().out
