"""Whether the name in a scope is one that pgjit has: a misspelt one would stop nothing, and nobody would notice."""

from __future__ import annotations

from pgjit.api.refusals import NothingThere
from pgjit.api.services import ApiServices
from pgjit.grants.scope import Scope, ScopeKind

__all__ = ["check_known"]


def check_known(scope: Scope, services: ApiServices) -> None:
    """Raises NothingThere for a policy or a connection that no policy file names. Identities are in no list."""
    policies = services.policies.values()
    known = {
        ScopeKind.POLICY: {policy.name for policy in policies},
        ScopeKind.CONNECTION: {policy.connection for policy in policies},
    }.get(scope.kind)
    if known is not None and scope.target not in known:
        raise NothingThere(scope.kind.value, str(scope.target))
