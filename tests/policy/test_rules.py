"""Runs the case table of every rule, and sees that no rule was forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from pgjit.policy.decision import Violation
from pgjit.policy.policy import Access, StatementTerms
from pgjit.policy.rules import RULES
from pgjit.sql.parse import read_message

HERE = Path(__file__).parent / "rules"
ROOT = HERE.parents[2]


class Case(NamedTuple):
    rule: str
    sql: str
    passes: bool
    terms: StatementTerms


def _cases() -> list[Case]:
    cases = []
    for name in RULES:
        table = yaml.safe_load((HERE / f"{name}.yaml").read_text("utf-8"))
        for access in Access:
            for verdict, statements in table.get(access.value, {}).items():
                cases += [Case(name, sql, verdict == "pass", StatementTerms(access=access)) for sql in statements]
        for named in table.get("named", ()):
            terms = StatementTerms(
                functions=frozenset(named.get("functions", ())),
                types=frozenset(named.get("types", ())),
                operators=frozenset(named.get("operators", ())),
            )
            cases.append(Case(name, named.get("pass") or named["fail"], "pass" in named, terms))
    return cases


CASES = _cases()
PASSING = [case for case in CASES if case.passes]
FAILING = [case for case in CASES if not case.passes]


def _name(case: Case) -> str:
    return f"{case.rule}-{case.terms.access}-{case.sql}"


def _violations(case: Case, *names: str) -> list[Violation]:
    return [
        found
        for statement in read_message(case.sql).statements
        for name in names
        for found in RULES[name].check(statement, case.terms)
    ]


def test_every_rule_has_cases_of_both_kinds() -> None:
    assert {case.rule for case in PASSING} == {case.rule for case in FAILING} == set(RULES)


@pytest.mark.parametrize("case", PASSING, ids=_name)
def test_what_a_rule_lets_pass_runs(case: Case) -> None:
    assert _violations(case, *RULES) == []


@pytest.mark.parametrize("case", FAILING, ids=_name)
def test_a_rule_finds_what_its_cases_say_and_says_what_to_do(case: Case) -> None:
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


def test_every_rule_has_its_file_its_cases_and_its_page() -> None:
    names = set(RULES)

    assert {path.stem.replace("_", "-") for path in (ROOT / "pgjit/policy/rules").glob("[a-z]*.py")} == names
    assert {path.stem for path in HERE.glob("*.yaml")} == names
    assert {path.stem for path in (ROOT / "docs/rules").glob("*.md")} - {"README"} == names
    assert all(rule.name == name for name, rule in RULES.items())


@pytest.mark.parametrize("name", list(RULES))
def test_every_page_says_why_and_what_to_write_instead(name: str) -> None:
    page = (ROOT / "docs/rules" / f"{name}.md").read_text("utf-8")

    assert page.startswith(f"# {name}\n")
    assert "\n## Why\n" in page
    assert "\n## What to write instead\n" in page
    assert f"]({name}.md)" in (ROOT / "docs/rules/README.md").read_text("utf-8")
