"""Each rule's own cases: what passes it and what it finds, in the YAML file of its name."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pgjit.policy.decision import Allow, Deny
from pgjit.policy.evaluate import evaluate
from pgjit.policy.policy import Access
from pgjit.policy.rules import RULES
from pgjit.sql.parse import read_message
from tests.fixtures.terms import policy_of

HERE = Path(__file__).parent
PAGES = Path(__file__).parents[2] / "docs" / "rules"


class Case(NamedTuple):
    rule: str
    access: Access
    sql: str
    passes: bool


def _cases() -> list[Case]:
    cases = []
    for name in RULES:
        file = yaml.safe_load((HERE / "rules" / f"{name}.yaml").read_text())
        for access in Access:
            section = file.get(access.value, {})
            cases += [Case(name, access, sql, passes=True) for sql in section.get("pass", [])]
            cases += [Case(name, access, sql, passes=False) for sql in section.get("fail", [])]
    return cases


@pytest.mark.parametrize("case", _cases(), ids=lambda case: f"{case.rule}-{case.access}-{case.sql[:40]}")
def test_a_rule_finds_what_its_cases_say(case: Case) -> None:
    rule = RULES[case.rule]
    decision = evaluate(policy_of(case.access), read_message(case.sql), [rule])
    if case.passes:
        assert isinstance(decision, Allow)
    else:
        assert isinstance(decision, Deny)
        assert {violation.rule for violation in decision.violations} == {case.rule}


@pytest.mark.parametrize("case", [c for c in _cases() if c.passes], ids=lambda c: f"{c.rule}-{c.access}-{c.sql[:40]}")
def test_what_passes_a_rule_of_reading_passes_them_all(case: Case) -> None:
    assert isinstance(evaluate(policy_of(case.access), read_message(case.sql)), Allow)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_its_page_and_its_file(name: str) -> None:
    assert (PAGES / f"{name}.md").read_text().startswith(f"# {name}\n")
    assert RULES[name].check.__module__.endswith(name.replace("-", "_"))


@given(st.sets(st.sampled_from(sorted(RULES))), st.sampled_from(sorted(RULES)), st.sampled_from(_cases()))
def test_one_more_rule_never_turns_deny_into_allow(chosen: set[str], more: str, case: Case) -> None:
    message = read_message(case.sql)
    before = evaluate(policy_of(case.access), message, [RULES[name] for name in sorted(chosen)])
    after = evaluate(policy_of(case.access), message, [RULES[name] for name in sorted(chosen | {more})])
    assert isinstance(after, Deny) or isinstance(before, Allow)


def test_violations_speak_as_errors_do() -> None:
    for case in _cases():
        decision = evaluate(policy_of(case.access), read_message(case.sql))
        for violation in decision.violations if isinstance(decision, Deny) else ():
            assert not violation.message.endswith(".")
            assert violation.hint
            assert violation.error().reference == violation.rule
