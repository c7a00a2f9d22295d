"""A dry run decides with the code that judges sessions, the choice of the policy included."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.identity.identity import GroupId
from pgjit.judging.dry_run import rehearse
from pgjit.judging.judge import assess
from pgjit.policy.load import load_policies
from pgjit.policy.suite import Case, CaseCaller

POLICIES, _ = load_policies(Path(__file__).parents[1] / "fixtures" / "policies")
LIMIT = 1000
READERS = GroupId("11111111-1111-4111-8111-111111111111")


def _case(sql: str, policy: str | None = "reader", caller: CaseCaller | None = None) -> Case:
    return Case(place="", name=None, policy=policy, caller=caller, sql=sql, expect="allow", rule=None)


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "DELETE FROM notes", "SELEC", "SELECT pg_sleep(1); DROP TABLE x", "x" * 2000]
)
def test_a_case_is_decided_as_the_proxy_decides(sql: str) -> None:
    outcome = rehearse(POLICIES, _case(sql), LIMIT)
    judgement = assess(POLICIES["reader"], sql.encode(), LIMIT)
    assert (outcome.decision == "allow") == judgement.allowed
    assert list(outcome.rules) == list(dict.fromkeys(each.rule for each in judgement.violations))
    assert outcome.policy == "reader"


@pytest.mark.parametrize(
    ("groups", "connection", "user", "policy", "rules"),
    [
        ({READERS}, "prod-replica", "reader", "reader", ()),
        ({READERS}, "prod-replica", "", "reader", ()),
        ({READERS}, "prod-replica", "writer", None, ("no-policy",)),
        ({READERS}, "elsewhere", "", None, ("no-policy",)),
        (set(), "prod-replica", "reader", None, ("no-policy",)),
    ],
)
def test_an_identity_has_the_policy_that_its_session_would_have(
    groups: set[GroupId], connection: str, user: str, policy: str | None, rules: tuple[str, ...]
) -> None:
    caller = CaseCaller("agent", frozenset(groups), connection, user)
    outcome = rehearse(POLICIES, _case("SELECT 1", None, caller), LIMIT)
    assert (outcome.policy, outcome.rules) == (policy, rules)
    assert outcome.decision == ("allow" if policy else "deny")
