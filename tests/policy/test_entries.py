"""One more entry of `deny` can only refuse more, one more of `allow` only less; what is allowed must be certain."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.policy.decision import Allow, Deny
from pgjit.policy.evaluate import evaluate
from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import Policy, StatementTerms
from pgjit.policy.selector import Selector
from pgjit.sql.catalog import Catalog
from pgjit.sql.parse import read_message
from tests.fixtures.odd import SHOP
from tests.fixtures.terms import policy_of, terms

SQL = (
    "SELECT 1",
    "SELECT * FROM customers",
    "SELECT name FROM public.customers WHERE email = 'x'",
    "SELECT revenue FROM monthly_revenue",
    "SELECT c FROM customers c JOIN orders o ON o.customer_id = c.id",
    "SELECT lower(name), pg_sleep(1) FROM customers",
    "COPY orders TO STDOUT",
    "EXPLAIN ANALYZE SELECT id FROM orders",
    "INSERT INTO notes (note) VALUES ('x')",
    "UPDATE orders SET status = 'paid' WHERE id = 1",
    "DELETE FROM notes WHERE id = 1",
    "MERGE INTO notes n USING orders o ON n.id = o.id WHEN MATCHED THEN DELETE",
    "SELECT id FROM orders FOR UPDATE",
    "SET work_mem = '1MB'",
    "SET TimeZone = 'UTC'",
    "COPY notes FROM STDIN",
    "DECLARE c CURSOR FOR SELECT id FROM payments",
    "SELECT 'a'::public.order_status",
    "TRUNCATE notes",
    "LOCK TABLE orders",
    "CREATE VIEW v AS SELECT id FROM orders",
    "CREATE TABLE public.n AS SELECT name FROM customers",
    "ALTER TABLE orders ADD COLUMN x int",
    "DO 'BEGIN NULL; END'",
)
KINDS = st.sampled_from([None, ["select"], ["insert", "update"], ["delete"], ["copy-out"], ["merge"], ["copy-in"]])
BEYOND = [
    {"kinds": ["ddl-table", "ddl-view", "truncate"]}, {"kinds": ["truncate", "lock"], "relations": ["public.notes"]},
    {"kinds": ["ddl-table", "select"], "schemas": ["public"]}, {"kinds": ["do"]},
    {"kinds": ["create-view"], "relations": ["*", "!public.orders"]},
]  # fmt: skip
OBJECTS = st.sampled_from([
    {}, {"relations": ["public.*"]}, {"relations": ["public.orders", "public.notes"]},
    {"relations": ["*", "!public.customers"]}, {"columns": ["public.customers.name", "public.customers.id"]},
    {"columns": ["public.orders.*", "!public.orders.status"]}, {"schemas": ["public"]}, {"functions": ["pg_sleep"]},
    {"settings": ["work_mem"]}, {"types": ["public.order_status"]}, {"operators": ["="]},
])  # fmt: skip


@st.composite
def entries(draw: st.DrawFn) -> Mapping[str, list[str]]:
    if draw(st.booleans()):
        return draw(st.sampled_from(BEYOND))
    kinds, objects = draw(KINDS), draw(OBJECTS)
    entry = {**objects, **({"kinds": kinds} if kinds else {})}
    return entry or {"kinds": ["select"]}


def _policy(given_terms: StatementTerms) -> Policy:
    return dataclasses.replace(policy_of(), statements=given_terms)


def _allowed(given_terms: StatementTerms, sql: str, catalog: Catalog | None) -> bool:
    return isinstance(evaluate(_policy(given_terms), read_message(sql), catalog), Allow)


@given(
    sql=st.sampled_from(SQL),
    allow=st.lists(entries(), max_size=3),
    deny=st.lists(entries(), max_size=2),
    more=entries(),
    access=st.sampled_from(["read-only", "read-write"]),
    catalog=st.sampled_from([SHOP, None]),
)
def test_one_more_denial_never_allows(
    sql: str,
    allow: list[Mapping[str, list[str]]],
    deny: list[Mapping[str, list[str]]],
    more: Mapping[str, list[str]],
    access: str,
    catalog: Catalog | None,
) -> None:
    before = terms(access=access, allow=allow, deny=deny)
    after = terms(access=access, allow=allow, deny=[*deny, more])

    assert _allowed(before, sql, catalog) or not _allowed(after, sql, catalog)


@given(
    sql=st.sampled_from(SQL),
    allow=st.lists(entries(), max_size=3),
    deny=st.lists(entries(), max_size=2),
    more=entries(),
    access=st.sampled_from(["read-only", "read-write"]),
)
def test_one_more_allowance_never_refuses_where_relations_are_named_already(
    sql: str,
    allow: list[Mapping[str, list[str]]],
    deny: list[Mapping[str, list[str]]],
    more: Mapping[str, list[str]],
    access: str,
) -> None:
    """The first entry that names relations takes the place of the preset: from there on each can only add."""
    named = [{"relations": ["public.products"]}, *allow]
    before, after = (
        terms(access=access, allow=named, deny=deny),
        terms(access=access, allow=[*named, more], deny=deny),
    )

    assert not _allowed(before, sql, SHOP) or _allowed(after, sql, SHOP)


@given(
    sql=st.sampled_from(SQL), allow=st.lists(entries(), max_size=3), deny=st.lists(entries(), min_size=1, max_size=2)
)
def test_what_runs_without_a_catalog_runs_with_one(
    sql: str, allow: list[Mapping[str, list[str]]], deny: list[Mapping[str, list[str]]]
) -> None:
    """Where names are resolved, less is known without a catalog, and what is not known is refused."""
    given_terms = terms(access="read-write", allow=allow, deny=[*deny, {"relations": ["secret.*"]}])

    assert not _allowed(given_terms, sql, None) or _allowed(given_terms, sql, SHOP)


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM public.orders", "SELECT status FROM orders", "COPY public.orders TO STDOUT"]
)
def test_a_policy_that_denies_relations_needs_a_catalog(sql: str) -> None:
    denying = terms(deny=[{"relations": ["public.payments"]}])

    assert not _allowed(denying, sql, None)
    assert _allowed(denying, sql, SHOP)
    assert _allowed(denying, "SELECT 1", None)


def test_a_temporary_relation_does_not_stand_for_another() -> None:
    reading = terms(allow=[{"relations": ["public.orders"]}])

    assert _allowed(reading, "SELECT id FROM orders", SHOP)
    assert not _allowed(reading, "SELECT id FROM pg_temp.orders", SHOP)
    assert not _allowed(reading, "CREATE TEMP TABLE orders (id int)", SHOP)


@pytest.mark.parametrize(
    ("sql", "sqlstate", "position"),
    [
        ("SELECT * FROM nosuch", "42P01", 15),
        ("SELECT nosuch FROM orders", "42703", 8),
        ("SELECT nosuch(1)", "42883", 8),
        ("SELECT 1::nosuch", "42704", 11),
    ],
)
def test_what_the_server_does_not_have_is_told_with_its_own_sqlstate(sql: str, sqlstate: str, position: int) -> None:
    decision = evaluate(_policy(terms()), read_message(sql), SHOP)

    assert isinstance(decision, Deny)
    found = [each for each in decision.violations if each.rule == "unresolved-name"]
    assert [(each.sqlstate, each.position) for each in found] == [(sqlstate, position)]


def test_what_is_denied_is_told_with_the_place_of_its_entry() -> None:
    denying = StatementTerms(
        deny=(Selector(relations=Patterns.of(["public.payments"], 1, 2), place="reader.yaml:12:7"),)
    )

    decision = evaluate(_policy(denying), read_message("SELECT revenue FROM monthly_revenue"), SHOP)

    assert isinstance(decision, Deny)
    (found,) = decision.violations
    assert (found.rule, found.detail, found.position) == ("denied", "The entry is at reader.yaml:12:7.", 21)
    assert (
        found.message == "relation `public.payments`, read through `public.monthly_revenue`, is denied by this policy"
    )
