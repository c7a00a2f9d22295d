"""The command line: help, exit codes, faults told at once with their place."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pgjit.cli.policies import STATEMENT_BYTES
from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.cli.table import COMMANDS
from pgjit.demo.certificates import make_certificates
from pgjit.judging import judge

POLICIES = Path(__file__).parents[2] / "policies"

GOOD = """
tls: {{certificate: server.crt, key: server.key}}
identity: {{tenant: 7c9e6679-7425-40de-944b-e07fc1f90ae7, audience: 3f2504e0-4f89-41d3-9a0c-0305e82c3301}}
connections:
  prod-replica: {{host: db.internal, database: shop, user: pgjit_agent, password: {{file: secret}}}}
  prod-primary: {{host: db-1.internal, database: shop, user: pgjit_writer, password: {{file: secret}}}}
policies: {policies}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    make_certificates(tmp_path)
    (tmp_path / "secret").write_text("s\n")
    path = tmp_path / "pgjit.yaml"
    path.write_text(GOOD.format(policies=POLICIES))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == Status.OK
    assert "Usage" in capsys.readouterr().out
    assert run(["--help"]) == Status.OK
    assert command in capsys.readouterr().out


INNER = (
    *(("policy", name) for name in ("check", "test", "explain", "rules")),
    *(("store", name) for name in ("check", "upgrade")),
)
EVERY_HELP = ((), *((name,) for name in COMMANDS), *INNER)
# Not pydantic: typer itself reads the values of options with it.
SLOW_TO_IMPORT = (
    "asyncio", "asyncpg", "cryptography", "duckdb", "fastapi", "httpx", "opentelemetry", "orjson", "pglast",
    "sqlalchemy", "ssl", "uvloop", "yaml",
)  # fmt: skip


@pytest.mark.live
def test_help_imports_none_of_the_libraries_that_take_long() -> None:
    program = f"""
import contextlib, io, sys
from pgjit.cli.run import run
for arguments in {EVERY_HELP!r}:
    with contextlib.redirect_stdout(io.StringIO()):
        run([*arguments, "--help"])
    if loaded := [name for name in {SLOW_TO_IMPORT!r} if name in sys.modules]:
        sys.exit(f"{{' '.join(arguments)}} --help imports {{loaded}}")
"""
    played = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (played.returncode, played.stderr) == (0, "")


@pytest.mark.parametrize("arguments", EVERY_HELP, ids=" ".join)
def test_help_has_one_look(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*arguments, "--help"]) == Status.OK
    out = capsys.readouterr().out
    assert re.search(rf"Usage: {' '.join(('pgjit', *arguments))} \[OPTIONS\]", out)
    assert "─ Options ─" in out
    assert "<bool>" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_root_has_a_version_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == run(["-h"]) == run([]) == Status.OK
    out = " ".join(capsys.readouterr().out.split())
    assert "--version" in out
    assert all(f"{code.value} " in out.partition("Exit codes:")[2] for code in Status)
    assert run(["--version"]) == Status.OK
    assert re.match(r"pgjit \d", capsys.readouterr().out)


def test_a_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chek"]) == Status.USAGE
    assert "No such command 'chek'. Did you mean 'check'?" in capsys.readouterr().err


def test_the_limit_in_help_is_that_of_the_judge() -> None:
    assert STATEMENT_BYTES == judge.STATEMENT_BYTES


@pytest.mark.parametrize("arguments", [["nonsense"], ["serve", "--nonsense"], ["demo", "--ttl", "soon"]])
def test_wrong_usage_is_told_and_has_its_code(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == Status.USAGE
    assert "rror" in capsys.readouterr().err


def test_a_good_configuration_is_valid(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", str(config), "--json"]) == Status.OK
    told = json.loads(capsys.readouterr().out)
    warning, *named = told.pop("warnings")
    assert warning["message"].startswith("`identity.groups` is `claim`: memberships are not looked up again")
    assert [(each["line"] is not None, each["message"].partition(", `")[0]) for each in named] == [
        (True, "connection `prod-replica` is not named as its database"),
        (True, "connection `prod-primary` is not named as its database"),
    ]
    assert told == {
        "valid": True,
        "policies": ["analyst-read-only", "break-glass", "jit-schema-checks", "orders-migration", "read-only"],
        "connections": ["prod-primary", "prod-replica"],
        "workers": 1,
    }


def test_several_workers_are_named_with_the_place_of_their_journals(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = config.read_text()
    assert "store:" not in text
    config.write_text(text + "workers: 3\nstore: {kind: postgres, url: postgresql://pgjit@db.internal/pgjit}\n")
    assert run(["check", "--config", str(config)]) == Status.OK
    assert "3 workers serve its port, each with a journal of its own in " in capsys.readouterr().out


def test_a_worker_is_started_by_its_supervisor_alone(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read, write = os.pipe()
    os.close(write)
    assert run(["serve", "--config", str(config), "--worker", str(read)]) == Status.USAGE
    os.close(read)
    assert "`--worker` is for the supervisor of `pgjit serve` alone" in capsys.readouterr().err


def test_warnings_stop_nothing_and_are_told_beside(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", str(config)]) == Status.OK
    said = capsys.readouterr()
    assert "is valid" in said.out
    assert said.err.startswith("warning: `identity.groups` is `claim`")


def test_all_faults_are_told_at_once_with_their_places(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = config.read_text().replace("policies:", "polices:").replace("7c9e6679-", "")
    config.write_text(
        text.replace("user: pgjit_agent", "user: pgjit_agent, sslmode: prefer") + "admin: {port: 99999}\n"
    )
    assert run(["check", "--config", str(config)]) == Status.INVALID
    err = capsys.readouterr().err
    assert f"{config}:7:1: `polices` is not a known key; did you mean `policies`?" in err
    assert f"{config}:3:12: `identity.tenant.0` must be a GUID" in err
    assert "`connections.prod-replica.sslmode`" in err
    assert "`admin.port`" in err
    assert "`policies` is missing" in err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("file: secret", "env: PGJIT_TEST_UNSET"), "environment variable `PGJIT_TEST_UNSET` is not set"),
        (("file: secret", "file: nowhere"), "cannot be read"),
        (("certificate: server.crt", "certificate: nowhere.crt"), "cannot be read"),
        (("prod-replica:", "other:"), "names connection `prod-replica`; known: other, prod-primary"),
        (("host: db.internal", "host: db.internal, host: x"), "key `host` is given twice"),
        (("file: secret", "file: secret, env: X"), "give one of `env`, `file`, `command` and `azure`"),
    ],
)
def test_a_fault_is_told(
    config: Path, change: tuple[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace(*change))
    assert run(["serve", "--config", str(config)]) == Status.INVALID
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("ttl: 30m", "ttl: 30"), "must be a whole number with its unit"),
        (("ttl: 30m", "ttl: 1:30"), "must be a whole number with its unit"),
        (("ttl: 30m", "ttl: 25h"), "is longer than 24h"),
        (("record: true", "record: false"), "pgjit has no unrecorded access"),
        (("grant: on-request", "grant: always"), "`grant`"),
        (("access: read-only", "access: everything"), "`statements.access`"),
        (("policy: jit-schema-checks", "policy: Jit Checks"), "must be kebab-case"),
        (("id: 5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11", "id: the-group"), "object id, a GUID"),
        (("record: true", "record: true\nextra: 1"), "`extra` is not a known key"),
        (
            ("id: 5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11", "id: 8b1d2f47-0c3a-4e9e-b7f5-6a2c4d8e9f20"),
            "same group already",
        ),
        (("policy: jit-schema-checks", "policy: analyst-read-only"), "already"),
    ],
)
def test_a_fault_of_a_policy_is_told_with_its_place(
    config: Path, tmp_path: Path, change: tuple[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    for source in POLICIES.glob("*.yaml"):
        text = source.read_text()
        (folder / source.name).write_text(text.replace(*change) if source.stem == "jit-schema-checks" else text)
    config.write_text(GOOD.format(policies="policies"))
    assert run(["check", "--config", str(config)]) == Status.INVALID
    err = capsys.readouterr().err
    assert told in err
    assert f"{folder}/jit-schema-checks.yaml:" in err


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--config", str(tmp_path / "none.yaml")]) == Status.INVALID
    assert "cannot be read" in capsys.readouterr().err


def test_wrong_usage_names_its_option_and_reads_alike(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = "journal+00000000+AAAA"
    rows = [
        (["lock", "--all", "--reason", "r", "--until", "soon"], "--until is a moment with its time zone"),
        (["lock", "--all", "--reason", "r", "--for", "2 hours"], "--for is a whole number with its unit"),
        (["lock", "--identity", "me", "--reason", "r"], "--identity is a tenant id"),
        (["audit", "verify", str(config.parent), "--key", key], "`"),
        (["audit", "report", "nothing"], "a part of the report is one of"),
        (["audit", "report", "--csv"], "--csv prints one table"),
        (["catalog", "--connection", "none", "--config", str(config)], "there is no connection `none`"),
    ]
    for arguments, expected in rows:
        assert (arguments, run(arguments)) == (arguments, Status.USAGE)
        error = capsys.readouterr().err
        assert expected in error
        assert "Invalid value" not in error


def test_the_places_of_the_journal_are_tried_on_demand(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = config.parent / "file"
    rows: list[tuple[str, int, int, str]] = [
        ((config.parent / "archive").as_uri(), Status.OK, Status.OK, "can be used"),
        (f"{archive.as_uri()}/x", Status.UNAVAILABLE, Status.FAILED, "cannot be used: it cannot be written to"),
    ]
    archive.touch()
    text = config.read_text()
    for url, checked, examined, expected in rows:
        config.write_text(f"{text}\njournal: {{archive: '{url}', space_warn_bytes: 0}}\n")
        assert run(["check", "--config", str(config)]) == Status.OK
        capsys.readouterr()
        for command, status in (("check", checked), ("doctor", examined)):
            assert (command, run([command, "--journal", "--config", str(config)])) == (command, status)
            printed = capsys.readouterr()
            assert expected in " ".join((printed.out + printed.err).split())
    assert run(["check", "--journal", "--json", "--config", str(config)]) == Status.UNAVAILABLE
    assert [each["fault"] is None for each in json.loads(capsys.readouterr().out)["places"]] == [True, False]
    assert run(["doctor", "--journal", "--json", "--config", str(config)]) == Status.FAILED
    assert json.loads(capsys.readouterr().out)["findings"][1]["severity"] == "danger"
    for wrong in (
        ["--sql"],
        ["--journal", "--sql"],
        ["--journal", "--connection", "prod-replica"],
        ["--json", "--sql"],
    ):
        assert run(["doctor", *wrong, "--config", str(config)]) == Status.USAGE


def test_an_origin_that_is_no_text_keeps_nobody_from_the_probes(config: Path) -> None:
    (config.parent / "journal").mkdir(mode=0o700)
    (config.parent / "journal" / "origin").write_bytes(b"\xff\n")
    archive = (config.parent / "archive").as_uri()
    config.write_text(f"{config.read_text()}\njournal: {{archive: '{archive}', space_warn_bytes: 0}}\n")
    assert run(["check", "--journal", "--config", str(config)]) == Status.OK
