"""psycopg2: it writes the values into the text, opens transactions by itself and speaks the simple protocol only."""

from __future__ import annotations

import io
import threading

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest

from tests.e2e.matrix.python.report import BYTES, NUMBERS, VALUE, check

__all__: list[str] = []

Connection = psycopg2.extensions.connection


def ask(connection: Connection, sql: str, *arguments: object) -> tuple[object, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments or None)
        row = cursor.fetchone()
    assert row is not None
    return row


def simple(connection: Connection) -> None:
    assert ask(connection, "SELECT 40 + 2") == (42,)


def null(connection: Connection) -> None:
    assert ask(connection, "SELECT %s::text", None) == (None,)


def binary(connection: Connection) -> None:
    (seen,) = ask(connection, "SELECT %s::bytea", BYTES)
    assert isinstance(seen, memoryview)
    assert bytes(seen) == BYTES


def rows(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i")
        assert sum(row[0] for row in cursor.fetchall()) == NUMBERS


def cursor(connection: Connection) -> None:
    connection.autocommit = False
    with connection, connection.cursor("of_the_server") as named:
        named.execute("SELECT i FROM generate_series(1, 5000) AS i")
        assert len(named.fetchmany(500)) == 500
        assert len(named.fetchall()) == 4500
    connection.autocommit = True


def value(connection: Connection) -> None:
    assert ask(connection, "SELECT repeat('0123456789abcdef', 262144)") == (VALUE,)


def copy_out(connection: Connection) -> None:
    (wanted,) = ask(connection, "SELECT count(*) FROM order_lines")
    got = io.StringIO()
    with connection.cursor() as cursor:
        cursor.copy_expert("COPY (SELECT * FROM order_lines) TO STDOUT", got)
    assert got.getvalue().count("\n") == wanted


def refused(connection: Connection) -> None:
    with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege) as seen:
        cursor.execute("DELETE FROM notes")
    assert seen.value.pgcode == "42501"


def alive(connection: Connection) -> None:
    assert ask(connection, "SELECT 'alive'") == ("alive",)


def transaction(connection: Connection) -> None:
    connection.autocommit = False
    ask(connection, "SELECT count(*) FROM orders")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(connection, "DELETE FROM notes")
    with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
        ask(connection, "SELECT 'too late'")
    connection.rollback()
    connection.autocommit = True
    assert ask(connection, "SELECT 'after'") == ("after",)


def cancel(connection: Connection) -> None:
    over = threading.Event()

    def keep_asking() -> None:
        # The first request may come before the statement does: it cancels nothing then.
        while not over.wait(0.2):
            connection.cancel()

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        with pytest.raises(psycopg2.errors.QueryCanceled):
            ask(connection, "SELECT pg_sleep(60)")
    finally:
        over.set()
        asking.join()


def main() -> None:
    connection = psycopg2.connect("")  # all of it comes from the environment
    connection.autocommit = True
    check("login", lambda: None)
    for run in (simple, null, binary, rows, cursor, value, copy_out, refused, alive, transaction, cancel):
        check(run.__name__.replace("_", "-"), lambda run=run: run(connection))  # type: ignore[misc]
    connection.close()


if __name__ == "__main__":
    main()
