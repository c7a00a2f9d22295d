"""Runs the tests beside policies, and reports the result of each and what none covers. It reads the test files.

`pgjit policy test` and the HTTP API share it. It decides nothing: `suite.py` decides whether an outcome is the
expected one, `coverage.py` what is covered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pgjit.judging.dry_run import REFERENCES, rehearse
from pgjit.policy.coverage import coverage_of
from pgjit.policy.load import Policies
from pgjit.policy.rules import RULES
from pgjit.policy.suite import CaseOutcome, Suite, load_suites, suite_paths

__all__ = ["outcome_document", "outcomes_of", "read_suites", "results_of_tests"]

_MOST_LISTED = 500
_LONGEST_SQL = 2000
"""Characters of a statement that an answer has."""


def read_suites(folder: Path, policies: Policies) -> tuple[list[Suite], list[str]]:
    """All suites of the folder, and all faults with their places."""
    return load_suites(suite_paths(folder), policies, RULES.keys() | REFERENCES)


def outcomes_of(policies: Policies, suite: Suite, limit: int) -> list[CaseOutcome]:
    """`limit`: bytes of the largest text that is judged."""
    return [rehearse(policies, case, limit, suite.catalog) for case in suite.cases]


def outcome_document(outcome: CaseOutcome) -> dict[str, object]:
    case = outcome.case
    return {
        "place": case.place,
        "name": case.name,
        "policy": outcome.policy,
        "identity": case.caller.name if case.caller else None,
        "sql": case.sql,
        "expect": case.expect,
        "expect_rule": case.rule,
        "decision": outcome.decision,
        "rules": outcome.rules,
        "message": outcome.message,
        "passed": outcome.passed,
    }


def results_of_tests(policies: Policies, name: str, limit: int) -> dict[str, object]:
    """The tests that ask the policy `name`, or come to it by an identity's groups: those that failed first.

    `untested`: the rules that none of them touched, and the entries of the policy that decided nothing in them.
    """
    policy = policies[name]
    suites, faults = read_suites(Path(policy.source).parent, policies)
    found = [
        rehearse(policies, case, limit, suite.catalog)
        for suite in suites
        for case in suite.cases
        if case.policy in (None, name)
    ]
    outcomes = [each for each in found if name in (each.policy, each.case.policy)]
    covered = coverage_of(Policies([policy]), outcomes)
    failed = [each for each in outcomes if not each.passed]
    return {
        "passed": bool(outcomes) and not failed and not faults,
        "count": len(outcomes),
        "failed": len(failed),
        "tests": _listed([*failed, *(each for each in outcomes if each.passed)]),
        "faults": faults[:_MOST_LISTED],
        "untested": {"rules": list(covered.rules), "lines": list(covered.lines)},
    }


def _listed(outcomes: Sequence[CaseOutcome]) -> list[dict[str, object]]:
    documents = [outcome_document(each) for each in outcomes[:_MOST_LISTED]]
    return [{**each, "sql": str(each["sql"])[:_LONGEST_SQL]} for each in documents]
