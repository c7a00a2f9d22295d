"""Which policy opens which connection to whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgjit.errors import AccessRefused
from pgjit.identity.identity import GroupId
from pgjit.policy.choose import choose_policy
from pgjit.policy.load import Policies
from tests.fakes.both_ends import CONTEXT
from tests.fakes.policies import policy

POLICIES = Policies(
    [
        policy("shop-read", "shop", "g1"),
        policy("shop-audit", "shop", "g2"),
        policy("bank-read", "bank", "g1"),
        policy("vault-read", "vault", "g9"),
    ]
)


def chosen(user: str, database: str, *groups: str) -> str:
    identity = replace(CONTEXT.identity, groups=frozenset(map(GroupId, groups)))
    return choose_policy(POLICIES, identity, database, user).name


@pytest.mark.parametrize(
    ("user", "database", "groups", "expected"),
    [
        ("shop-read", "shop", ("g1",), "shop-read"),
        ("shop-audit", "shop", ("g1", "g2"), "shop-audit"),
        ("shop-read", "shop", ("g1", "g2"), "shop-read"),
        ("ann", "shop", ("g1",), "shop-read"),
        ("ann", "bank", ("g1", "g2"), "bank-read"),
    ],
)
def test_the_user_names_the_policy_or_there_is_only_one(
    user: str, database: str, groups: tuple[str, ...], expected: str
) -> None:
    assert expected == chosen(user, database, *groups)


@pytest.mark.parametrize(
    ("user", "database", "groups", "reference"),
    [
        ("shop-read", "shop", (), "no-policy"),
        ("shop-read", "shop", ("g7",), "no-policy"),
        ("shop-read", "nowhere", ("g1",), "no-policy"),
        ("vault-read", "vault", ("g1", "g2"), "no-policy"),
        ("shop-audit", "shop", ("g1",), "no-policy"),  # another's policy is named: not mine instead
        ("bank-read", "shop", ("g1",), "no-policy"),
        ("ann", "shop", ("g1", "g2"), "ambiguous-policy"),
        ("SHOP-READ", "shop", ("g1", "g2"), "ambiguous-policy"),
        ("bank-read", "shop", ("g1", "g2"), "no-policy"),
    ],
)
def test_everything_else_is_refused(user: str, database: str, groups: tuple[str, ...], reference: str) -> None:
    with pytest.raises(AccessRefused) as refused:
        chosen(user, database, *groups)
    assert (refused.value.reference, refused.value.sqlstate) == (reference, "28000")


def test_a_refusal_names_no_policy_of_others() -> None:
    with pytest.raises(AccessRefused) as refused:
        chosen("ann", "vault", "g1", "g2")
    assert "vault-read" not in refused.value.terminal()
    with pytest.raises(AccessRefused) as refused:
        chosen("ann", "shop", "g1", "g2")
    assert "`shop-read`, `shop-audit`" in (refused.value.hint or "")
