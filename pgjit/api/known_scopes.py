"""Whether the name in a scope is one that pgjit has: a misspelt one would stop nothing, and nobody would notice."""

from __future__ import annotations

from pgjit.api.caller_groups import CallerGroups
from pgjit.api.refusals import NothingThere
from pgjit.api.services import ApiServices
from pgjit.errors import PgjitError
from pgjit.grants.listing import RequestFilter, WindowFilter
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.identity.directory import Principal, PrincipalState
from pgjit.identity.identity import IdentityKey

__all__ = ["check_known", "is_known_identity", "key_of_target"]


def check_known(scope: Scope, services: ApiServices) -> None:
    """Raises NothingThere for a policy or a connection that no policy file names. Identities are in no list."""
    policies = services.policies.values()
    known = {
        ScopeKind.POLICY: {policy.name for policy in policies},
        ScopeKind.CONNECTION: {policy.connection for policy in policies},
    }.get(scope.kind)
    if known is not None and scope.target not in known:
        raise NothingThere(scope.kind.value, str(scope.target))


def key_of_target(target: str, issuer: str) -> IdentityKey:
    """The key in `TENANT/OBJECT`. A subject of `issuer`, the caller's own, may hold slashes itself."""
    if target.startswith(f"{issuer}/"):
        return IdentityKey(issuer, target[len(issuer) + 1 :])
    tid, _, oid = target.rpartition("/")
    return IdentityKey(tid, oid)


async def is_known_identity(key: IdentityKey, services: ApiServices, groups: CallerGroups) -> bool | None:
    """Whether pgjit or its directory has ever seen the identity. None: it cannot be found out now. Never raises."""
    try:
        windows = await services.store.windows(WindowFilter(identity=key), None, 1)
        if windows.items or (await services.store.requests(RequestFilter(identity=key), None, 1)).items:
            return True
        if not groups.known:
            return False
        answers = [await groups.look_up(Principal(key, is_user)) for is_user in (False, True)]
    except PgjitError:
        return None
    return any(each.state is not PrincipalState.DELETED for each in answers)
