"""psycopg 3, as most programs use it: it binds on the server, and prepares what it sees often."""

from __future__ import annotations

import threading

import psycopg
import pytest

from tests.e2e.matrix.python.report import BYTES, NUMBERS, VALUE, check

__all__: list[str] = []

Connection = psycopg.Connection[tuple[object, ...]]


def simple(connection: Connection) -> None:
    assert connection.execute("SELECT 40 + 2").fetchone() == (42,)


def prepared(connection: Connection) -> None:
    for number in range(3):
        row = connection.execute("SELECT %s::int + %s::int", (number, 2), prepare=True).fetchone()
        assert row == (number + 2,)


def null(connection: Connection) -> None:
    assert connection.execute("SELECT %s::text", (None,)).fetchone() == (None,)


def binary(connection: Connection) -> None:
    assert connection.execute("SELECT %b::bytea, %b::int8", (BYTES, 7), binary=True).fetchone() == (BYTES, 7)


def rows(connection: Connection) -> None:
    found = connection.execute("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i").fetchall()
    assert sum(int(str(row[0])) for row in found) == NUMBERS


def cursor(connection: Connection) -> None:
    with connection.transaction(), connection.cursor("of_the_server") as named:
        named.execute("SELECT i FROM generate_series(1, 5000) AS i")
        assert len(named.fetchmany(500)) == 500
        assert len(named.fetchall()) == 4500


def value(connection: Connection) -> None:
    assert connection.execute("SELECT repeat('0123456789abcdef', 262144)").fetchone() == (VALUE,)


def copy_out(connection: Connection) -> None:
    wanted = connection.execute("SELECT count(*) FROM order_lines").fetchone()
    with connection.cursor().copy("COPY (SELECT * FROM order_lines) TO STDOUT") as copy:
        assert (sum(1 for _ in copy.rows()),) == wanted


def refused(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as seen:
        connection.execute("DELETE FROM notes")
    assert seen.value.diag.message_hint


def alive(connection: Connection) -> None:
    assert connection.execute("SELECT 'alive'").fetchone() == ("alive",)


def transaction(connection: Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM orders")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM notes")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        connection.execute("SELECT 'too late'")
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT 'after'").fetchone() == ("after",)


def cancel(connection: Connection) -> None:
    over = threading.Event()

    def keep_asking() -> None:
        # The first request may come before the statement does: it cancels nothing then.
        while not over.wait(0.2):
            connection.cancel_safe()

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(60)")
    finally:
        over.set()
        asking.join()


def pipeline(connection: Connection) -> None:
    with connection.pipeline():
        asked = [connection.execute("SELECT %s::int * 2", (number,)) for number in range(20)]
        assert [query.fetchone() for query in asked] == [(number * 2,) for number in range(20)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.pipeline() as pipe:  # noqa: PT012 - raised at its end
        first = connection.execute("SELECT 'first'")
        pipe.sync()
        connection.execute("DELETE FROM notes")
        connection.execute("SELECT 'passed over'")
        pipe.sync()
    assert first.fetchone() == ("first",)


def main() -> None:
    with psycopg.connect(autocommit=True) as connection:  # all of it comes from the environment
        check("login", lambda: None)
        for run in (
            simple,
            prepared,
            null,
            binary,
            rows,
            cursor,
            value,
            copy_out,
            refused,
            alive,
            transaction,
            cancel,
        ):
            check(run.__name__.replace("_", "-"), lambda run=run: run(connection))  # type: ignore[misc]
        check("pipeline", lambda: pipeline(connection))


if __name__ == "__main__":
    main()
