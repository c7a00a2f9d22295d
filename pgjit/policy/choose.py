"""Which policy opens which connection to whom: pure, default deny.

The names come from a startup packet: its database names the connection, its user the policy.
"""

from __future__ import annotations

from collections.abc import Mapping

from pgjit.errors import AccessRefused
from pgjit.identity.identity import Identity
from pgjit.policy.identity_terms import unmet
from pgjit.policy.load import Policies
from pgjit.policy.policy import Policy

__all__ = ["check_requirements", "choose_policy", "opens"]


def choose_policy(
    policies: Policies, identity: Identity, database: str, user: str, databases: Mapping[str, str] | None = None
) -> Policy:
    """The policy that gives `identity` the connection `database` as `user`. Raises AccessRefused.

    The user names it. A user name that is no policy's is accepted if exactly one policy of the identity covers the
    connection. The name of another policy is refused: a client that asks for one policy must not get another.
    `databases`: the database behind each connection, for the hint to a client that names the database instead.
    """
    policy = _choose(policies, identity, database, user, databases or {})
    check_requirements(policy, identity)
    return policy


def check_requirements(policy: Policy, identity: Identity) -> None:
    """Raises AccessRefused if the token of `identity` does not meet what the policy requires."""
    if (missing := unmet(policy.identity, identity)) is not None:
        raise AccessRefused(
            f"policy `{policy.name}` requires more than your token shows",
            reference="requirement-not-met",
            detail=f"It requires {missing}.",
            hint="Get a token in the way that the policy requires.",
        )


def opens(policies: Policies, identity: Identity, database: str, user: str) -> bool:
    """Whether the groups of `identity` open the connection, whatever else the policy requires."""
    try:
        _choose(policies, identity, database, user, {})
    except AccessRefused:
        return False
    return True


def _choose(policies: Policies, identity: Identity, database: str, user: str, databases: Mapping[str, str]) -> Policy:
    mine = policies.for_connection(database, identity)
    named = [policy for policy in mine if policy.name == user]
    if named:
        return named[0]
    if len(mine) == 1 and user not in policies:
        return mine[0]
    if not mine or user in policies:
        raise AccessRefused(
            f"no policy opens connection `{database}` to you as `{user}`",
            reference="no-policy",
            detail=f"You are {identity.kind.value} {identity.key.oid} of tenant {identity.key.tid}."
            + ("" if identity.groups or identity.roles else " No group and no app role of yours is known here."),
            hint=_hint(policies.opened_to(identity), database, user, databases),
        )
    names = ", ".join(f"`{policy.name}`" for policy in mine)
    raise AccessRefused(
        f"several policies open connection `{database}` to you",
        reference="ambiguous-policy",
        hint=f"Name one of them as the user: {names}.",
    )


def _hint(mine: tuple[Policy, ...], database: str, user: str, databases: Mapping[str, str]) -> str:
    """Which connection was probably meant. It names only what a policy opens to this identity."""
    meant = sorted({policy.connection for policy in mine if databases.get(policy.connection) == database})
    if meant:
        names = " or ".join(f"`{name}`" for name in meant)
        return f"dbname is the name of a connection: for database `{database}` give {names}."
    if named := [policy for policy in mine if policy.name == user]:
        return f"Policy `{user}` opens connection `{named[0].connection}` to you: give that as dbname."
    return "Check dbname (the connection) and user (the policy), or ask to join the policy's group."
