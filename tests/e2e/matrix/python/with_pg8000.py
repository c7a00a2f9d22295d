"""pg8000: the protocol in Python alone, every statement by the extended protocol and in text."""

from __future__ import annotations

import io
import ssl

import pytest
from pg8000.native import Connection, DatabaseError

from tests.e2e.matrix.python.report import BYTES, NUMBERS, VALUE, check, place

__all__: list[str] = []


def simple(connection: Connection) -> None:
    assert connection.run("SELECT 40 + 2") == [[42]]


def prepared(connection: Connection) -> None:
    statement = connection.prepare("SELECT :a::int + :b::int")
    for number in range(3):
        assert statement.run(a=number, b=2) == [[number + 2]]
    statement.close()


def null(connection: Connection) -> None:
    assert connection.run("SELECT CAST(:value AS text)", value=None) == [[None]]


def binary(connection: Connection) -> None:
    assert connection.run("SELECT CAST(:value AS bytea)", value=BYTES) == [[BYTES]]


def rows(connection: Connection) -> None:
    found = connection.run("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i")
    assert sum(row[0] for row in found) == NUMBERS


def value(connection: Connection) -> None:
    assert connection.run("SELECT repeat('0123456789abcdef', 262144)") == [[VALUE]]


def copy_out(connection: Connection) -> None:
    [[wanted]] = connection.run("SELECT count(*) FROM order_lines")
    got = io.BytesIO()
    connection.run("COPY (SELECT * FROM order_lines) TO STDOUT", stream=got)
    assert got.getvalue().count(b"\n") == wanted


def refused(connection: Connection) -> None:
    with pytest.raises(DatabaseError) as seen:
        connection.run("DELETE FROM notes")
    assert seen.value.args[0]["C"] == "42501"


def alive(connection: Connection) -> None:
    assert connection.run("SELECT 'alive'") == [["alive"]]


def transaction(connection: Connection) -> None:
    connection.run("START TRANSACTION")
    connection.run("SELECT count(*) FROM orders")
    refused(connection)
    with pytest.raises(DatabaseError) as seen:
        connection.run("SELECT 'too late'")
    assert seen.value.args[0]["C"] == "25P02"
    connection.run("ROLLBACK")
    assert connection.run("SELECT 'after'") == [["after"]]


def main() -> None:
    given = place()
    connection = Connection(
        given["user"],
        host=given["host"], port=int(given["port"]), database=given["database"], password=given["password"],
        ssl_context=ssl.create_default_context(cafile=given["sslrootcert"]),
    )  # fmt: skip
    check("login", lambda: None)
    for run in (simple, prepared, null, binary, rows, value, copy_out, refused, alive, transaction):
        check(run.__name__.replace("_", "-"), lambda run=run: run(connection))  # type: ignore[misc]
    connection.close()


if __name__ == "__main__":
    main()
