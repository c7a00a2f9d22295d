"""The tests beside one policy: which are its own, what they gave, what they leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgjit.judging.policy_tests import results_of_tests
from pgjit.policy.load import Policies, load_policies
from tests.judging.test_explanation import FILE

TESTS = """policy: reader
identities:
  alice: {groups: [5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11]}
tests:
  - {name: reads, sql: SELECT 1, expect: allow}
  - {sql: [DROP TABLE x, DROP VIEW x], expect: deny, rule: ddl}
  - {identity: alice, connection: shop, sql: SELECT 2, expect: allow}
  - {identity: alice, connection: other, sql: SELECT 3, expect: deny}
  - {policy: writer, sql: SELECT 4, expect: allow}
"""


def folder(path: Path, tests: str = TESTS) -> Policies:
    (path / "reader.yaml").write_text(FILE)
    other = FILE.replace("policy: reader", "policy: writer").replace("connection: shop", "connection: backup")
    (path / "writer.yaml").write_text(other)
    (path / "reader_test.yaml").write_text(tests)
    policies, faults = load_policies(path)
    assert faults == []
    return policies


def run(policies: Policies, name: str = "reader") -> dict[str, Any]:
    return results_of_tests(policies, name, 1000)


def test_a_policy_has_the_tests_that_ask_it_and_those_that_come_to_it(tmp_path: Path) -> None:
    policies = folder(tmp_path)
    found = run(policies)
    assert [each["sql"] for each in found["tests"]] == ["SELECT 1", "DROP TABLE x", "DROP VIEW x", "SELECT 2"]
    assert (found["passed"], found["count"], found["failed"], found["faults"]) == (True, 4, 0, [])
    assert [each["sql"] for each in run(policies, "writer")["tests"]] == ["SELECT 4"]


def test_entries_and_rules_that_no_test_touches_are_listed(tmp_path: Path) -> None:
    untested = run(folder(tmp_path))["untested"]
    assert [place.rpartition("/")[2] for place in untested["lines"]] == ["reader.yaml:10:7"]
    assert "ddl" not in untested["rules"]
    assert "denied" in untested["rules"]
    covering = TESTS + "  - {sql: SELECT * FROM public.salaries, expect: deny}\n"
    assert run(folder(tmp_path, covering))["untested"]["lines"] == []


def test_a_test_that_failed_comes_first(tmp_path: Path) -> None:
    found = run(folder(tmp_path, TESTS + "  - {sql: DROP ROLE x, expect: allow}\n"))
    assert (found["passed"], found["count"], found["failed"]) == (False, 5, 1)
    first = found["tests"][0]
    assert (first["sql"], first["decision"], first["passed"]) == ("DROP ROLE x", "deny", False)


def test_a_fault_in_a_test_file_is_reported_and_nothing_counts_as_passed(tmp_path: Path) -> None:
    found = run(folder(tmp_path, TESTS + "  - {sql: SELECT 1, expect: perhaps}\n"))
    assert (found["passed"], found["count"]) == (False, 0)
    assert "reader_test.yaml" in found["faults"][0]


def test_without_tests_nothing_has_passed(tmp_path: Path) -> None:
    policies = folder(tmp_path)
    (tmp_path / "reader_test.yaml").unlink()
    found = run(policies)
    assert (found["passed"], found["count"], found["tests"]) == (False, 0, [])
