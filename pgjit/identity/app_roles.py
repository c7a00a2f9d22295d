"""App roles: how a policy writes them, and which of a token's roles count as that. Pure.

A tenant's administrator gives the roles of the API registration to whom they like in their own tenant. So a role
counts with its tenant: `Database.Read` is the role in the first tenant of `identity.tenant`, and
`TENANT/Database.Read` the role in the tenant with this id. No other tenant's role is ever taken for either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["app_role", "counted_roles", "role_warnings"]

_NAME: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,120}\Z")
_TENANT: Final = re.compile(r"([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})/")


def app_role(value: object) -> str:
    """The role as it is compared; ValueError if it cannot be one. The tenant's id is written in lower case."""
    tenant, name = _parts(value) if isinstance(value, str) else (None, "")
    if not _NAME.match(name) or _TENANT.match(name):
        raise ValueError("must be the value of an app role, such as Database.Read or TENANT-ID/Database.Read")
    return name if tenant is None else f"{tenant}/{name}"


def counted_roles(values: Iterable[str], tenant: str, *, first: bool) -> frozenset[str]:
    """How policies may write the roles `values` of a token of `tenant`; `first`: the first of `identity.tenant`.

    A value that begins like a tenant's id counts as nothing: it would read as another tenant's role.
    """
    names = [value for value in values if not _TENANT.match(value)]
    return frozenset({*(f"{tenant}/{name}" for name in names), *(names if first else ())})


def role_warnings(tenants: Sequence[str], roles: Iterable[tuple[str, str]]) -> list[str]:
    """Warnings about roles that count for fewer people than one may think. `roles`: each policy's name and a role.

    No tenant: the provider's tokens carry no app roles.
    """
    warnings = []
    for policy, role in dict.fromkeys(roles):
        tenant, name = _parts(role)
        named = f"policy `{policy}` names the app role `{role}`"
        if not tenants:
            warnings.append(f"{named}: tokens of this provider carry no app roles, so nobody holds it")
        elif tenant is not None and tenant not in tenants:
            warnings.append(f"{named}, and `identity.tenant` does not name that tenant: nobody holds it")
        elif tenant is None and len(tenants) > 1:
            warnings.append(
                f"{named}, which counts in tenant {tenants[0]} only, the first of `identity.tenant`. For another "
                f"tenant write `TENANT-ID/{name}`"
            )
    return warnings


def _parts(role: str) -> tuple[str | None, str]:
    found = _TENANT.match(role)
    return (None, role) if found is None else (found[1].lower(), role[found.end() :])
