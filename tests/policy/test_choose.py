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


DATABASES = {"shop": "shop_data", "bank": "shop_data", "vault": "vault_data"}


def chosen(user: str, database: str, *groups: str) -> str:
    identity = replace(CONTEXT.identity, groups=frozenset(map(GroupId, groups)))
    return choose_policy(POLICIES, identity, database, user, DATABASES).name


def hint(user: str, database: str, *groups: str) -> str:
    with pytest.raises(AccessRefused) as refused:
        chosen(user, database, *groups)
    return refused.value.hint or ""


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


GENERAL = "Check dbname (the connection) and user (the policy), or ask to join the policy's group."


def test_a_client_that_names_the_database_is_shown_its_connections() -> None:
    assert hint("ann", "shop_data", "g2") == (
        "dbname is the name of a connection: for database `shop_data` give `shop`."
    )
    assert hint("shop-read", "shop_data", "g1") == (
        "dbname is the name of a connection: for database `shop_data` give `bank` or `shop`."
    )


def test_a_client_that_names_its_policy_alone_is_shown_the_connection() -> None:
    assert (
        hint("bank-read", "nowhere", "g1")
        == "Policy `bank-read` opens connection `bank` to you: give that as dbname."
    )


@pytest.mark.parametrize(
    ("user", "database", "groups"),
    [
        ("ann", "vault_data", ("g1",)),  # a database of others
        ("vault-read", "vault_data", ("g1",)),
        ("vault-read", "nowhere", ("g1",)),  # a policy of others
        ("ann", "shop_data", ()),
        ("ann", "no_such_data", ("g1",)),
    ],
)
def test_what_is_not_open_to_a_client_looks_as_if_it_did_not_exist(
    user: str, database: str, groups: tuple[str, ...]
) -> None:
    assert hint(user, database, *groups) == GENERAL
