"""`pgjit store check` and `pgjit store upgrade`, on a file and on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.demo.certificates import make_certificates
from pgjit.grants.stores.store_file import StoreFile
from tests.fakes.store_server import StoreServer

POLICIES = Path(__file__).parents[2] / "policies"
TEXT = """
tls: {{certificate: server.crt, key: server.key}}
identity: {{tenant: 7c9e6679-7425-40de-944b-e07fc1f90ae7, audience: 3f2504e0-4f89-41d3-9a0c-0305e82c3301}}
connections:
  prod-replica: {{host: db.internal, database: shop, user: pgjit_agent}}
  prod-primary: {{host: db-1.internal, database: shop, user: pgjit_writer}}
policies: {policies}
store: {store}
"""
NAME = "pgjit_by_cli"

Configure = Callable[[str], str]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    def write(store: str) -> str:
        make_certificates(tmp_path)
        path = tmp_path / "pgjit.yaml"
        path.write_text(TEXT.format(policies=POLICIES, store=store))
        return f"--config={path}"

    return write


@pytest.fixture
def empty_url(store_server: StoreServer) -> Iterator[str]:
    store_server.execute(f"CREATE DATABASE {NAME}", "postgres")
    yield store_server.url(NAME)
    store_server.execute(f"DROP DATABASE {NAME} WITH (FORCE)", "postgres")


def test_a_database_is_refused_until_it_is_upgraded(
    configure: Configure, empty_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(f"{{kind: postgres, url: '{empty_url}'}}")
    assert run(["store", "check", config]) == Status.UNAVAILABLE
    err = capsys.readouterr().err
    assert "has no schema yet; this pgjit needs version v3." in err
    assert "pgjit store upgrade --config pgjit.yaml" in err
    assert run(["store", "upgrade", config, "--json"]) == Status.OK
    first, shown = json.loads((printed := capsys.readouterr()).out), printed.err
    assert (first["kind"], first["schema"], first["made"]) == ("postgres", "v3", ["v1", "v2", "v3"])
    assert shown == "upgrading the store\nmade schema version v1\nmade schema version v2\nmade schema version v3\n"
    assert run(["store", "upgrade", config, "--only-create"]) == Status.OK
    assert (repeated := capsys.readouterr()).err == ""
    assert "has schema v3" in repeated.out
    assert run(["store", "upgrade", config]) == Status.OK
    assert f"store {NAME} on " in (out := capsys.readouterr().out)
    assert "has schema v3, PostgreSQL " in out
    assert run(["store", "check", config, "--json"]) == Status.OK
    assert json.loads(capsys.readouterr().out) == {**first, "made": []}


def test_a_server_that_is_not_there_is_a_status(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    config = configure("{kind: postgres, url: 'postgresql://u@/d?host=/nowhere'}")
    for command in ("check", "upgrade"):
        assert run(["store", command, config]) == Status.UNAVAILABLE
        err = capsys.readouterr().err
        assert "No such file or directory" in err
        assert "pg_hba.conf" in err
        assert "Try again later" not in err


def test_a_file_is_upgraded_when_it_is_opened(
    configure: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure("{path: w.sqlite3}")
    assert run(["store", "check", config]) == Status.OK
    assert "does not exist yet: `pgjit serve` creates it" in capsys.readouterr().out
    assert run(["store", "upgrade", config, "--only-create"]) == Status.OK
    assert "does not exist yet" in capsys.readouterr().out
    assert not (tmp_path / "w.sqlite3").exists()
    assert run(["store", "upgrade", config]) == Status.OK
    assert capsys.readouterr().out == f"store {tmp_path}/w.sqlite3 has schema v3\n"
    held = StoreFile(tmp_path / "w.sqlite3")
    held.take()
    assert run(["store", "check", config]) == Status.OK  # a check disturbs nobody
    assert run(["store", "upgrade", config]) == Status.UNAVAILABLE
    err = capsys.readouterr().err
    assert "another pgjit (process " in err
    assert "Check `store.path`" in err
    held.release()


def test_a_file_that_is_no_store_is_a_status(
    configure: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "w.sqlite3").write_text("not a database, but dear to someone\n" * 100)
    assert run(["store", "check", configure("{path: w.sqlite3}")]) == Status.UNAVAILABLE
    assert "file is not a database" in capsys.readouterr().err


def test_a_password_in_the_url_is_a_fault_that_does_not_show_it(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure("{kind: postgres, url: 'postgresql://u:geheim@h/d'}")
    assert run(["store", "check", config]) == run(["check", config]) == Status.INVALID
    printed = capsys.readouterr()
    assert "`url` holds a password: give it in `password`" in printed.err
    assert "geheim" not in printed.err + printed.out
