"""What statements touch, case by case; and what holds for all of them."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from pgjit.sql.catalog import Catalog, Function
from pgjit.sql.parse import read_message
from pgjit.sql.resolve.resolve import resolve
from pgjit.sql.shape.shape import SHAPELESS
from pgjit.sql.statement import Statement
from tests.run.rows import table
from tests.run.work import calls
from tests.sql.compact import compact
from tests.sql.snapshots import FIXTURES


def _one(sql: str) -> Statement:
    (statement,) = read_message(sql).statements
    return statement


def _cases() -> list[tuple[str, str]]:
    lines = (FIXTURES / "touched.txt").read_text("utf-8").splitlines()
    content = [line for line in lines if line and not line.startswith("#")]
    return [(sql, referenced.strip()) for sql, referenced in zip(content[::2], content[1::2], strict=True)]


@table(("sql", "referenced"), _cases())
def test_what_a_statement_touches(sql: str, referenced: str, catalog: Catalog) -> None:
    assert (compact(resolve(_one(sql), catalog)) or "nothing") == referenced


@pytest.mark.parametrize(
    ("sql", "referenced"),
    [
        ("SELECT email FROM customers", "{public}.customers / {public}.customers.email"),
        ("SELECT email FROM public.customers AS c", "customers / customers.email"),
        ("SELECT * FROM customers", "{public}.customers / {public}.customers.*"),
        ("SELECT c FROM customers c", "{public}.customers / {public}.customers.* {public}.customers.c"),
        ("SELECT c.email FROM customers c", "{public}.customers / {public}.customers.email"),
        ("SELECT 1 FROM pg_class", "{pg_catalog,public}.pg_class"),
        ("SELECT x FROM (SELECT email AS x FROM customers) q", "{public}.customers / {public}.customers.email"),
        ("SELECT (SELECT a FROM b) FROM c", "{public}.b {public}.c / {public}.b.a {public}.c.a"),
        ("SELECT lower('x')", "{pg_catalog,public}.lower()"),
        ("SELECT ('x').pg_read_file", "{pg_catalog,public}.pg_read_file()"),
        ("SELECT (f('x')).n", "{pg_catalog,public}.f() {pg_catalog,public}.n()"),
        ("SELECT 1 + 1", "op {pg_catalog,public}.+"),
        ("SELECT 'x'::mood", "::{pg_catalog,public}.mood"),
        ("UPDATE customers SET a = 1", "{public}.customers:update / {public}.customers.a="),
        ("COPY customers TO STDOUT", "{public}.customers / {public}.customers.*"),
        ("CREATE TABLE fresh (a int)", "{public}.fresh:define"),
    ],
)  # fmt: skip
def test_without_a_catalog_names_may_be_in_every_schema_that_is_searched(sql: str, referenced: str) -> None:
    assert compact(resolve(_one(sql), None)) == referenced


def test_the_search_path_counts_without_a_catalog() -> None:
    (relation,) = resolve(_one("SELECT 1 FROM t"), None, ("a", "b")).relations

    assert (relation.schema, relation.candidates) == (None, ("a", "b"))


def test_objects_have_the_place_where_they_stand_first(catalog: Catalog) -> None:
    sql = "SELECT 'é', c.email, hr.peek(c.email) FROM customers AS c"
    referenced = resolve(_one(sql), catalog)

    assert [one.position for one in referenced.relations] == [sql.index("customers") + 1]
    assert [one.position for one in referenced.columns] == [sql.index("c.email") + 1]
    assert [one.position for one in referenced.functions] == [sql.index("hr.peek") + 1]


def test_the_way_through_views_is_told(catalog: Catalog) -> None:
    referenced = resolve(_one("SELECT address FROM sales.contacts"), catalog)

    (base,) = [one for one in referenced.relations if one.name == "customers"]
    assert base.through == ("sales.contacts", "public.contacts")


def test_a_schema_that_is_earlier_in_the_path_hides_a_later_one(catalog: Catalog) -> None:
    turned = Catalog.from_json(catalog.to_json().replace(b'["public","sales"]', b'["sales","public"]'))
    statement = _one("SELECT email FROM customers")

    assert compact(resolve(statement, turned)) == "sales.customers / sales.customers.email"


@pytest.mark.parametrize(
    ("path", "referenced"),
    [(("public",), ""), (("public", "pg_catalog"), "now()")],
)
def test_of_functions_without_arguments_the_first_schemas_is_called(
    path: tuple[str, ...], referenced: str, catalog: Catalog
) -> None:
    functions: dict[str, dict[str, tuple[Function, ...]]] = {
        "pg_catalog": {"now": (Function(builtin=True),)}, "public": {"now": (Function(),)},
    }  # fmt: skip
    both = dataclasses.replace(catalog, functions=functions, search_path=path)

    assert compact(resolve(_one("SELECT now()"), both)) == referenced


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT c.email FROM customers AS c WHERE id = $1"])
def test_facts_travel_to_another_process(sql: str, catalog: Catalog) -> None:
    statement = _one(sql)
    statement.shape = SHAPELESS  # it reads the tree when it is looked at, and stays where it was made
    statement = pickle.loads(pickle.dumps(statement))

    assert resolve(statement, pickle.loads(pickle.dumps(catalog))) == resolve(_one(sql), catalog)


def test_more_than_a_number_of_columns_is_too_much(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgjit.sql.resolve.object_collector.MOST_COLUMNS", 3)

    referenced = resolve(_one("SELECT * FROM customers, orders"), catalog)

    assert len(referenced.columns) == 3
    assert [fault.kind for fault in referenced.faults] == ["too-much"]


def test_a_small_statement_is_resolved_in_some_hundred_calls(catalog: Catalog) -> None:
    statement = _one(
        "SELECT c.id, c.email, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = $1"
    )
    resolve(statement, catalog)
    assert calls(lambda: resolve(statement, catalog)) < 1_000
