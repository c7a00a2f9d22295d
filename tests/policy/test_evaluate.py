"""Every statement of the red-team collection gets its decision; one more rule can only refuse more."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.errors import PgjitError
from pgjit.identity.identity import GroupId
from pgjit.policy.decision import Allow, Decision, Deny, Violation
from pgjit.policy.evaluate import MOST, evaluate
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Grant, Policy, Preset, StatementTerms
from pgjit.policy.rule import Rule
from pgjit.policy.rules import RULES
from pgjit.sql.catalog import Column, Relation
from pgjit.sql.parse import read_message
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Message, Statement
from tests.fixtures.odd import SHOP
from tests.fixtures.terms import terms
from tests.run.rows import table

COLLECTION = Path(__file__).parents[1] / "fixtures" / "redteam" / "read-only.jsonl"
ROWS = [row for row in map(json.loads, COLLECTION.read_text("utf-8").splitlines()) if "sql" in row]
POLICY = Policy(
    name="reader",
    connection="prod-replica",
    group=GroupId("11111111-1111-4111-8111-111111111111"),
    group_name=None,
    grant=Grant.ON_REQUEST,
    ttl=timedelta(minutes=30),
    cooldown=timedelta(minutes=30),
    record=True,
    statements=StatementTerms(),
    source="reader.yaml",
    version="0",
)
WRITER = dataclasses.replace(POLICY, statements=StatementTerms(access=Preset.READ_WRITE))
FULL = dataclasses.replace(POLICY, statements=StatementTerms(access=Preset.FULL))


def _decide(sql: str, policy: Policy = POLICY) -> Decision:
    try:
        return evaluate(policy, read_message(sql))
    except PgjitError as refused:
        return Deny((Violation(rule=refused.reference, message=refused.message),))


def test_the_collection_is_whole() -> None:
    assert len(ROWS) == 222


@table("row", ROWS, ids=[row["id"] for row in ROWS])
def test_each_statement_of_the_collection_gets_its_decision(row: dict[str, str]) -> None:
    decision = _decide(row["sql"])

    assert ("allow" if isinstance(decision, Allow) else "deny") == row["expect"], decision


@table("row", [row for row in ROWS if row["expect"] == "allow"], ids=lambda row: row["id"])
def test_what_may_be_read_may_be_explained_prepared_and_declared(row: dict[str, str]) -> None:
    statements = read_message(row["sql"]).statements
    if len(statements) == 1 and statements[0].kind == "select":
        for prefix in ("EXPLAIN ANALYZE", "PREPARE p AS", "DECLARE c CURSOR FOR"):
            assert _decide(f"{prefix} {statements[0].text}") == Allow()


@table("row", [row for row in ROWS if row["expect"] == "deny"], ids=lambda row: row["id"])
def test_what_is_refused_alone_is_refused_in_any_company(row: dict[str, str]) -> None:
    for sql in (f"SELECT 1; {row['sql']}", f"{row['sql']}; SELECT 1", f"/* é */ {row['sql']}", f"-- x\n{row['sql']}"):
        assert isinstance(_decide(sql), Deny)


@table(
    "wrapped",
    [
        "EXPLAIN {}", "EXPLAIN (ANALYZE) {}", "PREPARE p AS {}", "DECLARE c CURSOR FOR {}", "COPY ({}) TO STDOUT",
        "WITH x AS ({}) SELECT 1", "SELECT ({})", "SELECT * FROM ({}) x", "SELECT 1 UNION ALL ({})",
        "({}) UNION ALL SELECT 1", "SELECT 1 WHERE EXISTS ({})", "SELECT ARRAY({})", "VALUES (({}))",
        "SELECT CASE WHEN true THEN ({}) END", "SELECT 1 ORDER BY ({})", "SELECT 1 LIMIT ({})",
        "SELECT * FROM t, LATERAL ({}) x", "EXECUTE p(({}))", "SELECT coalesce(({}), 1)",
        "WITH RECURSIVE x AS (SELECT 1 UNION ALL ({})) SELECT 1", "SELECT sum(1) FILTER (WHERE ({}) = 1)",
        "SELECT sum(1) OVER (PARTITION BY ({}))", "SELECT * FROM t JOIN u ON ({}) = 1", "SELECT 1 GROUP BY ({})",
        "SELECT percentile_cont(({})) WITHIN GROUP (ORDER BY 1)", "SELECT ROW(({}))", "SELECT (({})).key",
        "SELECT a[({})] FROM t", "SELECT XMLELEMENT(name x, ({}))", "SELECT 1 = ANY ({})",
    ],
)  # fmt: skip
@table(
    "hidden",
    [
        "SELECT pg_read_file('x')", "SELECT 1 INTO zz", "SELECT * FROM t FOR UPDATE", "SELECT passwd FROM pg_shadow",
        "SELECT 1::s.dm", "SELECT 1 OPERATOR(s.+) 1", "SELECT set_config('role','app',false)", "SELECT json_array(1)",
        "WITH y AS (DELETE FROM t RETURNING 1) SELECT 1", "SELECT s.evil()",
    ],
)  # fmt: skip
def test_depth_hides_nothing(wrapped: str, hidden: str) -> None:
    assert isinstance(_decide(wrapped.format("SELECT 1")), Allow)
    assert isinstance(_decide(wrapped.format(hidden)), Deny)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (a) VALUES (1, DEFAULT) ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b RETURNING *",
        "UPDATE t SET (a, b) = (SELECT 1, 2), c = DEFAULT FROM u WHERE t.id = u.id RETURNING old.a, new.a",
        "DELETE FROM ONLY t USING u WHERE t.a = u.a",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET a = 1 WHEN NOT MATCHED THEN DO NOTHING",
        "WITH x AS (DELETE FROM t WHERE a = 1 RETURNING *) SELECT * FROM x",
        "SELECT * FROM t FOR NO KEY UPDATE OF t NOWAIT",
        "BEGIN READ WRITE",
        "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
    ],
)
def test_read_write_adds_what_writes_rows(sql: str) -> None:
    assert isinstance(_decide(sql), Deny)
    assert _decide(sql, WRITER) == Allow()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE pg_settings SET setting = 'off'", "CREATE TABLE x ()", "TRUNCATE t", "DO ''", "CALL p()", "LOCK t",
        "COPY t FROM '/tmp/x'", "COPY t FROM PROGRAM 'x'", "COPY t FROM STDIN WHERE s.f()",
        "SELECT 1 INTO x", "INSERT INTO t VALUES (s.f())",
        "SELECT nextval('x')", "SET transaction_read_only = off", "PREPARE TRANSACTION 'x'",
        "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
    ],
)  # fmt: skip
def test_read_write_does_not_add_more(sql: str) -> None:
    assert isinstance(_decide(sql, WRITER), Deny)


def test_every_violation_is_told_in_the_order_of_the_rules() -> None:
    decision = _decide("SELECT s.f(), 'é'::s.t, 1 OPERATOR(s.+) 1; DELETE FROM pg_shadow")

    assert isinstance(decision, Deny)
    assert [(found.statement, found.rule) for found in decision.violations] == [
        (0, "function-call"), (0, "foreign-type"), (0, "foreign-operator"),
        (1, "statement-kind"), (1, "secret-catalog"), (1, "catalog-write"), (1, "unknown-node"),
    ]  # fmt: skip
    assert [found.position for found in decision.violations[:3]] == [8, 20, 27]


def test_what_is_told_of_one_message_is_bounded() -> None:
    decision = _decide("SELECT " + ", ".join(f"f{number}()" for number in range(500)))

    assert isinstance(decision, Deny)
    assert len(decision.violations) == MOST


def test_a_kind_of_statement_that_nobody_knows_is_refused() -> None:
    unknown = Statement(index=0, kind="teleport", text="TELEPORT", position=0, nodes=frozenset({"TeleportStmt"}))

    decision = evaluate(WRITER, Message((unknown,)))

    assert isinstance(decision, Deny)
    assert {found.rule for found in decision.violations} == {"statement-kind", "unknown-node"}


def _refuses_all(
    statement: Statement, _terms: StatementTerms, _referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    yield Violation(rule="test", message="no", statement=statement.index)


def _refuses_none(
    _statement: Statement, _terms: StatementTerms, _referenced: ReferencedObjects | None, _passages: Passages | None
) -> Iterator[Violation]:
    yield from ()


@given(
    sql=st.sampled_from([row["sql"] for row in ROWS if row["id"] not in ("parser-01", "parser-03")]),
    kept=st.sets(st.sampled_from(sorted(RULES))),
    added=st.sampled_from([*RULES.values(), Rule("all", None, _refuses_all), Rule("none", None, _refuses_none)]),
    policy=st.sampled_from([POLICY, WRITER]),
)
def test_one_more_rule_never_turns_deny_into_allow(sql: str, kept: set[str], added: Rule, policy: Policy) -> None:
    message = read_message(sql)
    rules = [RULES[name] for name in sorted(kept)]

    before, after = evaluate(policy, message, rules=rules), evaluate(policy, message, rules=[*rules, added])

    if isinstance(before, Deny):
        assert isinstance(after, Deny)
        assert set(before.violations) <= set(after.violations)


@pytest.mark.parametrize(
    "sql", ["DROP TABLE t", "COPY t FROM PROGRAM 'x'", "SET ROLE postgres", "SELECT s.f()", "DO ''"]
)
def test_full_asks_no_rule(sql: str) -> None:
    assert isinstance(evaluate(WRITER, read_message(sql)), Deny)
    assert evaluate(FULL, read_message(sql)) == Allow()


@pytest.mark.parametrize(
    ("sql", "runs"),
    [
        ("SELECT * FROM customers", True),  # what narrows the preset is only told
        ("TRUNCATE public.notes", True),
        ("TRUNCATE public.orders", False),  # what is beyond it stays as narrow as it is
        ("LOCK TABLE public.notes", True),
        ("LOCK TABLE public.orders", False),
        ("CALL app.refill()", True),
        ("CALL app.other()", False),
        ("DROP TABLE public.notes", False),
    ],
)
def test_what_is_observed_of_a_policy_is_no_more_than_it_opens(sql: str, runs: bool) -> None:
    given_terms = terms(
        access="read-write",
        allow=[
            {"kinds": ["select", "truncate"], "relations": ["public.notes"]},
            {"kinds": ["call"], "functions": ["app.refill"]},
            {"relations": ["public.notes"]},
            {"kinds": ["lock"]},
        ],
    )
    observed = dataclasses.replace(POLICY, statements=given_terms.preset)

    assert isinstance(evaluate(observed, read_message(sql)), Allow) == runs


_LEDGER = dataclasses.replace(
    SHOP,
    relations={
        **SHOP.relations,
        "public": {**SHOP.relations["public"], "ledger": Relation("r", (Column("a"), Column("b")))},
    },
)


@pytest.mark.parametrize(
    ("sql", "runs"),
    [
        ("SELECT email FROM customers", True),
        ("UPDATE public.ledger SET a = 1 WHERE b = 1", True),
        ("SET application_name = 'x'", True),
        ("DROP TABLE public.orders", True),
        ("DROP TABLE public.ledger", False),
        ("CREATE TABLE public.x AS SELECT * FROM public.ledger", False),
        ("CREATE TABLE public.x AS SELECT email FROM public.customers", False),
        ("ALTER TABLE public.orders RENAME TO sold", False),
    ],
)
def test_what_is_denied_of_what_a_policy_opens_is_not_only_observed(sql: str, runs: bool) -> None:
    given_terms = terms(
        access="read-write",
        allow=[{"kinds": ["ddl-table"]}],
        deny=[
            {"relations": ["public.ledger"]},
            {"columns": ["customers.email"]},
            {"kinds": ["alter-table", "select"]},
            {"settings": ["application_name"]},
        ],
    )
    observed = dataclasses.replace(POLICY, statements=given_terms.preset)

    assert isinstance(evaluate(observed, read_message(sql), _LEDGER), Allow) == runs
