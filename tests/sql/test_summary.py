"""What a record has of a statement besides its text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.sql.catalog import Catalog, Column, Function, Relation
from pgjit.sql.parse import read_message, signature_of
from pgjit.sql.resolve.resolve import resolve
from pgjit.sql.statement import StatementSummary
from pgjit.sql.summary import MOST_NAMES, MOST_NORMALISED, summary_of

SHOP = Catalog.from_json((Path(__file__).parents[2] / "policies" / "shop.catalog.json").read_bytes())
Names = tuple[str, ...]
CLASS = SHOP.relations["pg_catalog"]["pg_class"]
TABLES = Relation(kind="v", columns=(Column("table_name"),))
SYSTEM = ("pg_class", "pg_namespace", "pg_authid", "pg_stat_activity", "pg_stats")


def whole_catalog() -> Catalog:
    """Every system relation has the columns of pg_class."""
    relations = {
        **SHOP.relations, "pg_catalog": dict.fromkeys(SYSTEM, CLASS), "information_schema": {"tables": TABLES},
    }  # fmt: skip
    mine: dict[str, tuple[Function, ...]] = {"mine": (Function(arguments=("name",), returns="text"),)}
    return replace(SHOP, relations=relations, functions={**SHOP.functions, "public": mine})


def summary(sql: str, catalog: Catalog | None = SHOP) -> StatementSummary:
    [statement] = read_message(sql).statements
    return summary_of(statement, None if catalog is None else resolve(statement, catalog))


@pytest.mark.parametrize(
    ("sql", "reads", "writes", "calls"),
    [
        ("SELECT count(*) FROM orders", ("public.orders",), (), ("pg_catalog.count",)),
        ("SELECT 1", (), (), ()),
        ("INSERT INTO notes SELECT * FROM notes", ("public.notes",), ("public.notes",), ()),
        ("UPDATE orders SET id = 2 WHERE id = 1", ("public.orders",), ("public.orders",), ()),
        ("DELETE FROM notes USING orders o", ("public.orders",), ("public.notes",), ()),
        ("WITH n AS (DELETE FROM notes RETURNING 1) SELECT 1 FROM n", (), ("public.notes",), ()),
        ("CREATE TABLE fresh (id int)", (), ("public.fresh",), ()),
        ("DROP TABLE orders", (), ("public.orders",), ()),
        ("LOCK TABLE orders", ("public.orders",), (), ()),
        ("COPY orders TO STDOUT", ("public.orders",), (), ()),
        ("PREPARE p AS SELECT abs(id) FROM orders", ("public.orders",), (), ("pg_catalog.abs",)),
        ("SELECT * FROM nowhere", ("nowhere",), (), ()),
    ],
)
def test_objects_are_named_as_the_server_resolves_them(sql: str, reads: Names, writes: Names, calls: Names) -> None:
    found = summary(sql)
    assert (found.reads, found.writes, found.calls) == (reads, writes, calls)


def test_a_view_and_what_it_reads_are_both_named() -> None:
    reads = summary("SELECT * FROM order_totals").reads
    assert reads[0] == "public.order_totals"
    assert set(reads) > {"public.order_lines"}


def test_without_a_catalog_names_are_as_written() -> None:
    found = summary("INSERT INTO a.notes SELECT upper(x) FROM b", None)
    assert (found.reads, found.writes, found.calls) == (("b",), ("a.notes",), ("upper",))
    assert not found.of_catalog


def test_long_lists_end_with_a_mark() -> None:
    functions = ", ".join(f"f{number}()" for number in range(MOST_NAMES + 1))
    calls = summary(f"SELECT {functions}", None).calls
    assert (len(calls), calls[-1]) == (MOST_NAMES + 1, "...")


def test_texts_that_differ_in_constants_only_have_one_fingerprint_and_one_normalised_text() -> None:
    one, two = summary("SELECT * FROM orders WHERE id = 1"), summary("SELECT * FROM orders WHERE id = 22")
    assert one.fingerprint == two.fingerprint
    assert one.normalised == two.normalised == "SELECT * FROM orders WHERE id = $1"
    assert summary("SELECT * FROM orders").normalised is None
    assert summary("SELECT * FROM orders").fingerprint != one.fingerprint


def test_a_long_normalised_text_is_cut() -> None:
    ones = ", ".join("1" * 3000)
    assert len(str(summary(f"SELECT {ones}", None).normalised)) == MOST_NORMALISED


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace",
        "SELECT table_name FROM information_schema.tables",
        "SHOW standard_conforming_strings",
    ],
)
def test_what_programs_ask_of_the_catalogs_is_marked(sql: str) -> None:
    assert summary(sql, whole_catalog()).of_catalog


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT * FROM orders, pg_class",
        "SELECT * FROM pg_authid",
        "SELECT relname FROM pg_stat_activity",
        "SELECT relname FROM pg_stats",
        "SELECT pg_sleep(9) FROM pg_class",
        "SELECT count(*) FROM pg_class, order_totals",
        "SELECT relname INTO fresh FROM pg_class",
        "SELECT relname FROM pg_class FOR UPDATE",
        "CREATE TABLE fresh AS SELECT relname FROM pg_class",
        "DELETE FROM pg_class",
        "SET search_path TO pg_catalog",
        "SELECT mine(relname) FROM pg_class",
    ],
)
def test_nothing_else_can_hide_behind_that_mark(sql: str) -> None:
    [statement] = read_message(sql).statements
    assert not resolve(statement, whole_catalog()).faults
    assert not summary(sql, whole_catalog()).of_catalog


@pytest.mark.parametrize("text", ["SELECT FROM FROM", "SELECT '\ud800'"])
def test_a_text_that_the_parser_rejects_has_no_signature(text: str) -> None:
    assert signature_of(text) == (None, None)
