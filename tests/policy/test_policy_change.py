"""Which sessions go on under a new version of their policy, and which have to log in again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pgjit.identity.identity import GroupId
from pgjit.policy.grant_terms import Grant
from pgjit.policy.identity_terms import IdentityTerms
from pgjit.policy.load import Policies
from pgjit.policy.policy import Limits, Mode, Policy, Preset, StatementTerms
from pgjit.policy.policy_change import carries_on, for_others
from pgjit.policy.selector import Selector
from tests.fakes.policies import policy

POLICY = policy()


def _terms(**changes: Any) -> StatementTerms:
    return replace(POLICY.statements, **changes)


@pytest.mark.parametrize(
    ("changes", "goes_on"),
    [
        ({"ttl": timedelta(minutes=1)}, True),
        ({"cooldown": timedelta(minutes=1)}, True),
        ({"grant": Grant.REVIEW}, True),
        ({"mode": Mode.OBSERVE}, True),
        ({"statements": _terms(deny=(Selector(schemas=None),))}, True),
        ({"statements": _terms(longest=timedelta(seconds=1))}, True),
        ({"statements": _terms(access=Preset.FULL)}, False),
        ({"statements": _terms(access=Preset.READ_WRITE)}, False),
        ({"statements": _terms(allow=(Selector(kinds=frozenset({"do"})),))}, False),
        ({"limits": Limits(rows=5)}, False),
        ({"record": "statements"}, False),
        ({"connection": "other"}, False),
        ({"group": GroupId("others")}, False),
        ({"identity": IdentityTerms(bind_to_token=True)}, False),
    ],
    ids=str,
)
def test_a_session_goes_on_where_nothing_is_different_that_a_login_fixes(
    changes: dict[str, Any], goes_on: bool
) -> None:
    changed = replace(POLICY, version="v2", **changes)
    assert (carries_on(POLICY, changed), carries_on(changed, POLICY)) == (goes_on, goes_on)


def test_another_group_or_role_is_for_others() -> None:
    assert for_others(POLICY, replace(POLICY, group=GroupId("others")))
    assert for_others(POLICY, replace(POLICY, group=None, identity=IdentityTerms(role="reader")))
    assert not for_others(POLICY, replace(POLICY, ttl=timedelta(1), identity=IdentityTerms(bind_to_token=True)))


def test_policies_that_take_the_place_of_others_keep_what_did_not_change() -> None:
    one, two = replace(POLICY, name="one"), replace(POLICY, name="two")
    live = Policies([one, two], ("a warning",))
    also, changed = replace(one), replace(two, version="v2")
    third: Policy = replace(POLICY, name="third")
    live.become(Policies([also, changed, third]))
    assert list(live) == ["one", "two", "third"]
    assert live["one"] is one
    assert live["two"] is changed
    assert live.warnings == ()
    live.become(Policies([third]))
    assert list(live.values()) == [third]
