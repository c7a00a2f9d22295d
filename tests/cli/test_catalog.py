"""The catalog of a real server, written by one command and read by the others."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.demo.certificates import make_certificates
from pgjit.demo.database import DemoDatabase
from pgjit.sql.catalog import Catalog

POLICIES = Path(__file__).parents[2] / "policies"


@pytest.fixture(scope="module")
def database() -> Iterator[DemoDatabase]:
    folder = Path(tempfile.mkdtemp(prefix="pgjit-catalog-"))
    served = DemoDatabase()
    served.start(folder)
    yield served
    served.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def config(database: DemoDatabase, tmp_path: Path) -> Path:
    make_certificates(tmp_path)
    place = {"host": str(database.socket_dir), "port": database.port, "database": database.database}
    (tmp_path / "secret").write_text(database.password)
    login = {**place, "user": database.user, "password": {"file": "secret"}}
    document = {
        "tls": {"certificate": "server.crt", "key": "server.key"},
        "identity": {
            "tenant": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "audience": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        },
        "connections": {"prod-replica": login, "prod-primary": login},
        "policies": str(POLICIES),
    }
    path = tmp_path / "pgjit.yaml"
    path.write_text(json.dumps(document))
    return path


def test_a_catalog_is_written_that_policies_are_explained_with(
    config: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["catalog", "--config", str(config), "--connection", "prod-replica"]) == Status.OK
    written = capfdbinary.readouterr().out
    read = Catalog.from_json(written)
    assert read.database == "shop"
    assert "customers" in read.relations["public"]
    assert "pg_read_file" in read.functions["pg_catalog"]

    path = tmp_path / "catalog.json"
    path.write_bytes(written)
    command = ["policy", "explain", "--policies", str(POLICIES), "--policy", "read-only", "--catalog", str(path)]
    assert run([*command, "SELECT total FROM order_totals"]) == Status.OK
    assert b"relation public.order_lines (read), through public.order_totals" in capfdbinary.readouterr().out
    assert run([*command, "SELECT total FROM order_total"]) == Status.FAILED
    assert run(["policy", "check", str(POLICIES), "--catalog", str(path)]) == Status.OK
    assert b"does not have" not in capfdbinary.readouterr().out


def test_a_connection_that_is_not_configured_is_wrong_usage(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "--config", str(config), "--connection", "nowhere"]) == Status.USAGE
    assert "there is no connection `nowhere`; known: prod-primary, prod-replica" in capsys.readouterr().err


def test_a_login_that_fails_ends_with_4(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secret").write_text("wrong")
    assert run(["catalog", "--config", str(config), "--connection", "prod-replica"]) == Status.UNAVAILABLE
    assert "password authentication failed" in capsys.readouterr().err
