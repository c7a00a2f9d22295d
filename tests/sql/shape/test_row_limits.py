"""Statements that are long, deep or made to multiply: answered or refused, with work that is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import pytest
from _pytest.mark.structures import ParameterSet
from hypothesis import given, settings
from hypothesis import strategies as st

from pgjit.errors import StatementRefused
from pgjit.sql.catalog import Catalog
from pgjit.sql.parse import read_message
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.resolve.resolve import resolve
from tests.run.work import calls
from tests.sql.grammar import statements

SMALL = 16 * 1024
"""From there on, judging is done in another process."""

MOST_CALLS = 2_000_000
"""Function calls for one message. None of these takes more than two thirds of it, a quarter of a second."""


def _filled(head: str, unit: Callable[[int], str], tail: str = "", size: int = SMALL) -> str:
    parts, length = [head], len(head) + len(tail)
    while True:
        more = unit(len(parts))
        if length + len(more) >= size:
            return "".join(parts) + tail
        parts.append(more)
        length += len(more)


CASES = {
    "a chain of queries": _filled(
        "WITH c0 AS (SELECT * FROM customers)", lambda i: f", c{i} AS (SELECT * FROM c{i - 1})", " SELECT * FROM c1"
    ),
    "columns that double": _filled(
        "WITH c0 AS (SELECT * FROM customers)",
        lambda i: f", c{i} AS (SELECT *, * FROM c{i - 1}, c{i - 1} AS z)",
        " TABLE c9",
    ),
    "queries that wait for one another": _filled(
        "WITH RECURSIVE c0 AS (SELECT 1)", lambda i: f", c{i} AS (SELECT * FROM c{i + 1})", " SELECT * FROM c1"
    ),
    "cross joins": _filled("SELECT * FROM customers", lambda i: f", pg_class p{i}"),
    "names of many sources": _filled(
        f"SELECT {'id, ' * 2000} id FROM customers", lambda i: f", orders o{i}"
    ),
    "stars": _filled("SELECT *", lambda _: ",*", " FROM pg_class, pg_attribute"),
    "natural joins": "SELECT * FROM customers" + " NATURAL JOIN orders" * 100,
    "unknown names": _filled("SELECT 1", lambda i: f", z{i}", " FROM customers, orders"),
    "unknown names, deep inside": (
        "SELECT " + "(SELECT " * 60 + "z" + "".join(f", z{i}" for i in range(2000)) + " FROM orders)" * 60
    ),
    "queries in queries": "SELECT * FROM " + "(SELECT * FROM " * 100 + "customers" + ") AS x" * 100,
    "queries beside queries": _filled(
        "SELECT 1 FROM orders o0", lambda i: f", LATERAL (SELECT o{i - 1}.id, name) o{i}"
    ),
    "a long union": _filled("SELECT id FROM orders", lambda _: " UNION SELECT id FROM customers"),
    "views": _filled("SELECT * FROM sales.contacts", lambda i: f", sales.contacts v{i}"),
    "attributes": "SELECT (c)" + ".name" * 3000 + " FROM customers c",
    "indices in indices": "SELECT " + "(a)[(b).c[" * 70 + "1" + "]]" * 70 + " FROM customers",
    "calls": _filled("SELECT 1", lambda i: f", concat({i}, x{i})"),
    "functions": _filled("SELECT 1", lambda i: f", f{i}()"),
    "types": _filled("SELECT 1", lambda i: f", 1::t{i}"),
    "operators": _filled("SELECT id", lambda _: " || id", " FROM customers"),
    "rows to insert": _filled("INSERT INTO customers VALUES (1)", lambda i: f", ({i}, 'é')"),
    "clauses of a merge": _filled(
        "MERGE INTO customers c USING orders o ON true", lambda i: f" WHEN MATCHED AND o.id = '{i}' THEN DELETE"
    ),
    "columns from one row": f"UPDATE customers SET ({'id, ' * 1500} id) = ROW ({'1, ' * 1500} 1)",
    "statements": _filled("", lambda _: "SELECT * FROM customers;"),
    "empty statements": _filled("", lambda _: "SELECT;"),
    "comments that open": _filled("SELECT 1", lambda _: "/*"),
    "comments that open and close": "SELECT 1" + "/*" * 4000 + "*/" * 4000,
    "comments between operators": _filled("SELECT 1", lambda _: "/*+"),
    "stars and comments": _filled("SELECT 1/*", lambda _: "*/*"),
    "signs": _filled("SELECT ", lambda _: "+", "1"),
    "both signs": _filled("SELECT ", lambda _: "-+", "1"),
    "signs behind a value": _filled("SELECT 1 ", lambda _: "+"),
    "runs of signs": _filled("SELECT 1", lambda _: ", " + "+" * 900 + "1"),
    "names that are not ASCII": _filled('SELECT "é"', lambda i: f', "é{i}"', " FROM customers"),
}  # fmt: skip


# Without a catalog there is less to find out: of those a sample is in each run.
SAMPLE = ("operators", "functions", "clauses of a merge")


def _judgings() -> Iterator[ParameterSet]:
    for case, text in CASES.items():
        yield pytest.param(text, True, id=f"{case}-with a catalog")
        yield pytest.param(text, False, id=f"{case}-without", marks=() if case in SAMPLE else pytest.mark.slow)


@pytest.mark.parametrize(("text", "known"), list(_judgings()))
def test_what_is_judged_on_the_event_loop_takes_so_many_calls_at_most(
    text: str, known: bool, catalog: Catalog
) -> None:
    assert len(text) < SMALL + 1024
    assert calls(partial(_judge, text, catalog if known else None)) < MOST_CALLS


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT 1 /{'*' * 15_000}/", f"SELECT 1 -- {'=' * 15_000}", f"SELECT '{'=' * 15_000}'",
        f"-- {'-' * 4_000}\nSELECT 1", f"/* {('-' * 118 + chr(10)) * 120} */ SELECT 1",
        "/*" * 60 + "*/" * 60 + "SELECT 1",
        "/* a */ " * 1_900 + "SELECT 1", "SELECT 1 " + "+ -1 " * 400,
    ],
)  # fmt: skip
def test_lines_drawn_in_comments_are_read(text: str) -> None:
    assert len(read_message(text).statements) == 1


def _judge(text: str, catalog: Catalog | None) -> None:
    with suppress(StatementRefused):
        for statement in read_message(text).statements:
            assert isinstance(resolve(statement, catalog), ReferencedObjects)


@given(
    sql=statements(), cut=st.integers(0, 400), more=st.sampled_from(["", "(", ")", ".*", "::x", "'", " FROM ", "$1"])
)
@settings(max_examples=100, deadline=None)
def test_whatever_is_written_is_resolved_or_refused(sql: str, cut: int, more: str) -> None:
    text = sql[:cut] + more + sql[cut:]
    try:
        message = read_message(text)
    except StatementRefused:
        return
    for statement in message.statements:
        resolve(statement, None)
        resolve(statement, Catalog(180000, ("public",)))
