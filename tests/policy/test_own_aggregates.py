"""limit-required, where an aggregate is not PostgreSQL's own: what it makes of its rows is not known."""

from __future__ import annotations

import dataclasses

import pytest

from pgjit.judging.judge import assess
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog
from tests.fixtures.terms import policy_of, terms
from tests.sql.snapshots import stored_catalog

NAMED = {
    "allow": [{"functions": ["sales.last_of", "sales.report"]}],
    "rules": {"limit-required": True, "function-call": True},
}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return dataclasses.replace(policy_of(), statements=terms(**NAMED))


@pytest.fixture(scope="module")
def known() -> Catalog:
    return stored_catalog()


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("SELECT sales.last_of(name) FROM customers", True),
        ("SELECT sales.last_of(name) FROM customers LIMIT 1", True),
        ("SELECT sales.last_of(name) FROM (SELECT name FROM customers LIMIT 5) AS some", False),
        ("SELECT sales.report(name) FROM customers LIMIT 5", False),
        ("SELECT lower(name), count(*) FROM customers GROUP BY 1 LIMIT 5", False),
    ],
)
def test_its_value_may_be_all_of_them(sql: str, refused: bool, policy: Policy, known: Catalog) -> None:
    found = {each.rule for each in assess(policy, sql.encode(), 10_000, known).violations}
    assert ("limit-required" in found) is refused
    without = {each.rule for each in assess(policy, sql.encode(), 10_000, None).violations}
    assert "limit-required" in without or not refused
