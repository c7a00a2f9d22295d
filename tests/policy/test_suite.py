"""Test files of policies: their shape, their faults with places, and what passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.policy.suite import Case, CaseOutcome, Suite, load_suites, suite_paths

GROUP = "11111111-1111-4111-8111-111111111111"


def _load(folder: Path, text: str) -> tuple[list[Suite], list[str]]:
    (folder / "reader_test.yaml").write_text(text)
    return load_suites(suite_paths(folder), ["reader", "writer"], ["statement-kind", "no-policy"])


def test_every_statement_of_a_list_is_a_case_with_its_own_place(tmp_path: Path) -> None:
    suites, faults = _load(
        tmp_path,
        """policy: reader
identities:
  agent: {groups: [11111111-1111-4111-8111-111111111111]}
tests:
  - name: reading
    sql: [SELECT 1, TABLE x]
    expect: allow
  - policy: writer
    sql: DROP TABLE x
    expect: deny
    rule: statement-kind
  - identity: agent
    connection: prod-replica
    user: reader
    sql: SELECT 1
    expect: allow
""",
    )
    assert faults == []
    (suite,) = suites
    where = f"{tmp_path}/reader_test.yaml"
    told = [(case.place.removeprefix(where), case.policy, case.sql, case.expect, case.rule) for case in suite.cases]
    assert told == [
        (":6:11", "reader", "SELECT 1", "allow", None),
        (":6:21", "reader", "TABLE x", "allow", None),
        (":8:5", "writer", "DROP TABLE x", "deny", "statement-kind"),
        (":12:5", None, "SELECT 1", "allow", None),
    ]
    caller = suite.cases[3].caller
    assert caller is not None
    assert (caller.groups, caller.connection, caller.user) == (frozenset({GROUP}), "prod-replica", "reader")


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ("{sql: SELECT 1, expect: allow}", "names neither a policy nor an identity"),
        (
            "{policy: reeder, sql: SELECT 1, expect: allow}",
            "names `reeder`, which is not known; did you mean `reader`?",
        ),
        ("{policy: reader, sql: SELECT 1, expect: perhaps}", "must be 'allow' or 'deny'"),
        ("{policy: reader, sql: SELECT 1}", "`tests.0.expect` is missing"),
        ("{policy: reader, sql: [], expect: allow}", "`tests.0.sql`"),
        (
            "{policy: reader, sql: SELECT 1, expect: deny, rule: kind}",
            "`tests.0.rule` names `kind`, which is not known",
        ),
        ("{policy: reader, sql: SELECT 1, expect: allow, rule: no-policy}", "must not name a rule where it expects"),
        ("{identity: agent, sql: SELECT 1, expect: allow}", "must name the connection"),
        (
            "{policy: reader, connection: c, sql: SELECT 1, expect: allow}",
            "must name either a policy, or an identity",
        ),
        ("{connection: c, sql: SELECT 1, expect: allow}", "must name the identity"),
        ("{identity: nobody, connection: c, sql: SELECT 1, expect: allow}", "names `nobody`, which is not known"),
        ("{policy: reader, sql: SELECT 1, expct: allow}", "did you mean `expect`?"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, test: str, told: str) -> None:
    suites, faults = _load(tmp_path, f"tests:\n  - {test}\n")
    assert suites == []
    assert any(told in fault for fault in faults), faults
    assert all(fault.startswith(f"{tmp_path}/reader_test.yaml:") for fault in faults)


def test_a_file_without_tests_is_a_fault(tmp_path: Path) -> None:
    assert _load(tmp_path, "tests: []\n")[1] != []
    assert _load(tmp_path, "policy: reader\n")[1] != []


@pytest.mark.parametrize(
    ("expect", "rule", "decision", "rules", "passed"),
    [
        ("allow", None, "allow", (), True),
        ("allow", None, "deny", ("a",), False),
        ("deny", None, "deny", ("a",), True),
        ("deny", None, "allow", (), False),
        ("deny", "a", "deny", ("b", "a"), True),
        ("deny", "a", "deny", ("b",), False),
    ],
)
def test_an_outcome_passes_when_decision_and_rule_are_as_expected(
    expect: str, rule: str | None, decision: str, rules: tuple[str, ...], passed: bool
) -> None:
    case = Case(place="", name=None, policy="p", caller=None, sql="", expect=expect, rule=rule)  # type: ignore[arg-type]
    assert CaseOutcome(case=case, decision=decision, rules=rules).passed is passed  # type: ignore[arg-type]
