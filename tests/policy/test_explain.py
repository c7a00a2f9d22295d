"""For each object that a statement touches, the line of the policy that decided on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.judging.dry_run import explain_judgement
from pgjit.judging.judge import assess
from pgjit.policy.decision import Deny
from pgjit.policy.evaluate import evaluate
from pgjit.policy.explain import Ground
from pgjit.policy.load import load_policies
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog, Operator, QName
from pgjit.sql.parse import read_message

ROOT = Path(__file__).parents[2]
SHOP = Catalog.from_json((ROOT / "policies" / "shop.catalog.json").read_bytes())
POLICY = """policy: p
connection: c
group: 11111111-1111-4111-8111-111111111111
grant: on-request
ttl: 30m
record: true
statements:
  access: read-write
  allow:
    - relations: [public.orders, public.order_totals]
      kinds: [select]
    - relations: [public.notes]
    - functions: [pg_sleep, app.report]
    - settings: [work_mem]
  deny:
    - columns: [customers.email]
    - relations: [payments]
    - kinds: [copy-out]
"""
PRESET, ORDERS, NOTES, FUNCTIONS, SETTINGS = "8:3", "10:7", "12:7", "13:7", "14:7"
EMAIL, PAYMENTS, COPY = "16:7", "17:7", "18:7"


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "p.yaml").write_text(POLICY)
    policies, faults = load_policies(tmp_path)
    assert faults == []
    return policies["p"]


def _grounds(policy: Policy, sql: str, catalog: Catalog | None = SHOP) -> list[Ground]:
    passages = Passages()
    judgement = assess(policy, sql.encode(), 10_000, catalog, passages=passages)
    (grounds,) = explain_judgement(policy, judgement, catalog, passages)
    return list(grounds)


@pytest.mark.parametrize(
    ("sql", "sort", "name", "action", "place", "rule"),
    [
        ("SELECT 1", "kind", "select", None, PRESET, None),
        ("SELECT id FROM orders", "relation", "public.orders", "read", ORDERS, None),
        ("SELECT id FROM orders", "column", "public.orders.id", "read", ORDERS, None),
        ("SELECT id FROM products", "relation", "public.products", "read", None, "unlisted-relation"),
        ("SELECT relname FROM pg_class", "relation", "pg_catalog.pg_class", "read", PRESET, None),
        ("SELECT rolname FROM pg_authid", "relation", "pg_catalog.pg_authid", "read", None, "secret-catalog"),
        ("SELECT total FROM order_totals", "relation", "public.order_lines", "read", PRESET, None),
        ("SELECT id FROM payments", "relation", "public.payments", "read", PAYMENTS, "denied"),
        ("SELECT email FROM customers", "column", "public.customers.email", "read", EMAIL, "denied"),
        ("UPDATE notes SET note = '' WHERE id = 1", "relation", "public.notes", "update", NOTES, None),
        ("UPDATE notes SET note = '' WHERE id = 1", "column", "public.notes.note", "write", NOTES, None),
        ("UPDATE orders SET status = 'paid' WHERE id = 1", "relation", "public.orders", "update", None,
         "unlisted-relation"),
        ("DROP TABLE notes", "kind", "drop-table", None, None, "ddl"),
        ("COPY orders TO STDOUT", "kind", "copy-out", None, COPY, "denied"),
        ("SELECT pg_sleep(1)", "function", "pg_catalog.pg_sleep", None, FUNCTIONS, None),
        ("SELECT lower('x')", "function", "pg_catalog.lower", None, PRESET, None),
        ("SELECT nextval('x')", "function", "pg_catalog.nextval", None, None, "sequences"),
        ("SELECT 1 + 1", "operator", "pg_catalog.+", None, PRESET, None),
        ("SELECT '1'::int", "type", "pg_catalog.int4", None, PRESET, None),
        ("SET work_mem = '1MB'", "setting", "work_mem", None, SETTINGS, None),
        ("SET timezone = 'UTC'", "setting", "timezone", None, PRESET, None),
        ("SET role = 'x'", "setting", "role", None, None, "session-setting"),
    ],
)  # fmt: skip
def test_an_object_is_told_with_the_line_that_decides_on_it(
    policy: Policy, sql: str, sort: str, name: str, action: str | None, place: str | None, rule: str | None
) -> None:
    grounds = _grounds(policy, sql)
    found = [
        ground for ground in grounds if (ground.sort, ground.name) == (sort, name) and ground.action in (action, None)
    ]
    assert found, grounds
    where = None if place is None else f"{policy.source}:{place}"
    assert {(ground.place, ground.rule) for ground in found} == {(where, rule)}


def test_what_is_reached_through_a_view_is_told_with_the_view(policy: Policy) -> None:
    (found,) = [
        each for each in _grounds(policy, "SELECT total FROM order_totals") if each.name == "public.order_lines"
    ]
    assert found.through == ("public.order_totals",)


def test_under_full_access_the_preset_allows_everything(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY.partition("  access")[0] + "  access: full\n")
    policies, _ = load_policies(tmp_path)
    grounds = _grounds(policies["p"], "DELETE FROM pg_authid")
    assert grounds
    assert all(ground.allowed and ground.place == f"{tmp_path}/p.yaml:8:3" for ground in grounds)


@pytest.mark.parametrize("catalog", [None, SHOP])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM orders",
        "SELECT * FROM customers, payments",
        "DELETE FROM orders",
        "SELECT pg_read_file('x'), lo_create(1), nextval('x')",
        "SELECT a FROM nowhere",
        "INSERT INTO notes (note) SELECT email FROM customers",
        "WITH d AS (DELETE FROM notes RETURNING id) SELECT id FROM d FOR UPDATE",
        "SELECT 1 OPERATOR(x.@@@) 2, 'a'::x.y",
        "DO 'BEGIN END'",
        "SET role = x",
    ],
)
def test_a_statement_that_runs_rests_on_allowed_grounds_alone(
    policy: Policy, sql: str, catalog: Catalog | None
) -> None:
    grounds = _grounds(policy, sql, catalog)
    if not isinstance(evaluate(policy, read_message(sql), catalog), Deny):
        assert [ground for ground in grounds if not ground.allowed] == []
    assert all(ground.place is not None for ground in grounds if ground.allowed)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT note % 'x' FROM notes",
        "SELECT id FROM notes WHERE note % 'x' AND id % 2 = 0",
        "SELECT lower(note) FROM notes",
        "DELETE FROM payments WHERE note % 'x'",
    ],
)
def test_nothing_is_called_refused_that_no_rule_refused(policy: Policy, sql: str) -> None:
    """An extension's operator and function that have the names of built-in ones."""
    catalog = replace(
        SHOP,
        operators={
            **SHOP.operators,
            "public": {"%": (Operator("text", "text", QName("public", "similarity_op"), extension="pg_trgm"),)},
        },
    )
    message = read_message(sql)
    decision = evaluate(policy, message, catalog)
    found = {each.rule for each in decision.violations} if isinstance(decision, Deny) else set()
    assert "foreign-operator" not in found
    assert {ground.rule for ground in _grounds(policy, sql, catalog) if ground.rule} <= found
