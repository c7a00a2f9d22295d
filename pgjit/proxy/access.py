"""Which policy opens which connection to whom: pure, default deny.

`Access` is the proof that a session was authorized: without one there is no login to a server.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgjit.errors import AccessRefused
from pgjit.grants.window import Window
from pgjit.identity.identity import Identity
from pgjit.policy.identity_terms import unmet
from pgjit.policy.load import Policies
from pgjit.policy.policy import Policy
from pgjit.proxy.opening import Opening
from pgjit.proxy.target import Target

__all__ = ["Access", "choose_policy", "opens"]


@dataclass(frozen=True, slots=True)
class Access:
    identity: Identity
    policy: Policy
    window: Window
    window_ends_at: datetime
    target: Target

    @property
    def ends_at(self) -> datetime:
        """When the session ends: with its window, or with its token where the policy binds it to that."""
        if self.policy.identity.bind_to_token:
            return min(self.window_ends_at, self.identity.expires_at)
        return self.window_ends_at


def choose_policy(policies: Policies, identity: Identity, opening: Opening) -> Policy:
    """The policy that `opening` asks for. Raises AccessRefused.

    The user names it; any other name is accepted where exactly one policy of the identity covers the
    connection. A name that is another policy's is not: who asks for one policy must not get a second one.
    """
    policy = _choose(policies, identity, opening)
    if (missing := unmet(policy.identity, identity)) is not None:
        raise AccessRefused(
            f"policy `{policy.name}` requires more than your token shows",
            reference="requirement-not-met",
            detail=f"It requires {missing}.",
            hint="Get a token in the way that the policy requires.",
        )
    return policy


def opens(policies: Policies, identity: Identity, opening: Opening) -> bool:
    """Whether the groups of `identity` open what is asked for, whatever else the policy requires."""
    try:
        _choose(policies, identity, opening)
    except AccessRefused:
        return False
    return True


def _choose(policies: Policies, identity: Identity, opening: Opening) -> Policy:
    mine = policies.for_connection(opening.database, identity)
    named = [policy for policy in mine if policy.name == opening.user]
    if named:
        return named[0]
    if len(mine) == 1 and opening.user not in policies:
        return mine[0]
    if not mine or opening.user in policies:
        raise AccessRefused(
            f"no policy opens connection `{opening.database}` to you as `{opening.user}`",
            reference="no-policy",
            detail=f"You are {identity.kind.value} {identity.key.oid} of tenant {identity.key.tid}."
            + ("" if identity.groups or identity.roles else " No group and no app role of yours is known here."),
            hint="Check dbname (the connection) and user (the policy), or ask to join the policy's group.",
        )
    names = ", ".join(f"`{policy.name}`" for policy in mine)
    raise AccessRefused(
        f"several policies open connection `{opening.database}` to you",
        reference="ambiguous-policy",
        hint=f"Name one of them as the user: {names}.",
    )
