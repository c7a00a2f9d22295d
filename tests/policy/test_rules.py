"""Runs the case table of every rule, and sees that no rule was forgotten."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import pytest

from pgjit.policy.decision import Allow, Deny, Violation
from pgjit.policy.evaluate import evaluate, referenced_objects
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rules import RULES
from pgjit.sql.parse import read_message
from tests.fixtures.documents import read_yaml
from tests.fixtures.odd import CLEAN, HIDING, ODD, SHOP
from tests.fixtures.terms import policy_of, terms
from tests.run.rows import each_row, table

HERE = Path(__file__).parent / "rules"
ROOT = HERE.parents[2]
PINNED = dataclasses.replace(SHOP, role="reader", superuser=False, pinned_path='sales, "$user", "Odd, Name"')
POWERFUL = dataclasses.replace(PINNED, superuser=True)
CATALOGS = {"clean": CLEAN, "hiding": HIDING, "shop": SHOP, "odd": ODD, "pinned": PINNED, "powerful": POWERFUL}


class Case(NamedTuple):
    rule: str
    sql: str
    passes: bool
    terms: StatementTerms
    catalog: str | None = None


def _cases() -> list[Case]:
    cases = []
    for name in RULES:
        table = read_yaml((HERE / f"{name}.yaml").read_text("utf-8"))
        for access in ("read-only", "read-write"):
            for verdict, statements in table.get(access, {}).items():
                cases += [Case(name, sql, verdict == "pass", terms(access=access)) for sql in statements]
        for given in table.get("under", ()):  # a statement section, and the cases under it
            own = terms(**given["statements"])
            for verdict in ("pass", "fail"):
                cases += [
                    Case(name, sql, verdict == "pass", own, given.get("catalog")) for sql in given.get(verdict, ())
                ]
    return cases


CASES = _cases()
PASSING = [case for case in CASES if case.passes]
FAILING = [case for case in CASES if not case.passes]


def _name(case: Case) -> str:
    return f"{case.rule}-{case.terms.access}-{case.sql}"


def _violations(case: Case, *names: str) -> list[Violation]:
    message = read_message(case.sql)
    asked = [RULES[name] for name in names if RULES[name].applies(case.terms)]
    found = [violation for rule in asked if rule.message for violation in rule.message(message, case.terms)]
    for statement in message.statements:
        referenced = referenced_objects(case.terms, statement, CATALOGS[case.catalog] if case.catalog else None)
        found += [violation for rule in asked for violation in rule.check(statement, case.terms, referenced, None)]
    return found


def test_every_rule_has_cases_of_both_kinds() -> None:
    assert {case.rule for case in PASSING} == {case.rule for case in FAILING} == set(RULES)


@pytest.mark.parametrize("rule", list(RULES))
def test_what_a_rule_lets_pass_runs(rule: str) -> None:
    def runs(case: Case) -> None:
        assert _violations(case, *RULES) == []

    each_row((case for case in PASSING if case.rule == rule), _name, runs)


@pytest.mark.parametrize("rule", list(RULES))
def test_a_rule_finds_what_its_cases_say_and_says_what_to_do(rule: str) -> None:
    def is_found(case: Case) -> None:
        violations = _violations(case, case.rule)

        assert violations
        for found in violations:
            assert found.rule == case.rule
            assert found.error().reference == case.rule
            assert found.statement is not None
            assert found.hint
            assert found.position is not None
            assert 1 <= found.position <= len(case.sql)
            assert not found.message.endswith(".")

    each_row((case for case in FAILING if case.rule == rule), _name, is_found)


def test_every_rule_has_its_file_its_cases_and_its_page() -> None:
    names = set(RULES)

    assert {path.stem.replace("_", "-") for path in (ROOT / "pgjit/policy/rules").glob("[a-z]*.py")} == names
    assert {path.stem for path in HERE.glob("*.yaml")} == names
    assert {path.stem for path in (ROOT / "docs/rules").glob("*.md")} - {"README"} == names
    assert all(rule.name == name for name, rule in RULES.items())


@table("name", list(RULES))
def test_every_page_says_why_and_what_to_write_instead(name: str) -> None:
    page = (ROOT / "docs/rules" / f"{name}.md").read_text("utf-8")

    assert page.startswith(f"# {name}\n")
    assert "\n## Why\n" in page
    assert "\n## What to write instead\n" in page
    assert f"]({name}.md)" in (ROOT / "docs/rules/README.md").read_text("utf-8")


@pytest.mark.parametrize("deny", [[], [{"relations": ["public.payments"]}]])
def test_a_relation_in_another_database_is_told_with_the_database_that_this_is(deny: list[object]) -> None:
    """And nothing else is said of it: not that the catalog is not known."""
    message = read_message("SELECT * FROM prod_replica.public.orders")
    own = terms(deny=deny)
    decision = evaluate(dataclasses.replace(policy_of(), statements=own), message, SHOP)
    assert isinstance(decision, Deny)
    [found] = decision.violations
    assert (found.rule, found.sqlstate) == ("unresolved-name", "0A000")
    assert (
        found.message
        == f"`prod_replica.public.orders` is in database `prod_replica`, and this one is `{SHOP.database}`"
    )
    assert "Leave the database out" in (found.hint or "")
    here = read_message(f'SELECT * FROM "{SHOP.database}".public.orders')
    assert evaluate(dataclasses.replace(policy_of(), statements=own), here, SHOP) == Allow()
