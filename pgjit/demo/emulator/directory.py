"""The emulator's tenants with their principals and groups, and the API registration that tokens are for.

Decides memberships by Entra's rules: nested groups count, except where the API takes only groups that are assigned to
it. Does not know tokens or HTTP.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography import x509

__all__ = [
    "AZURE_CLI",
    "OPTIONAL_CLAIMS",
    "Api",
    "FederatedCredential",
    "GroupClaims",
    "PrincipalKind",
    "RegisteredPrincipal",
    "TenantDirectory",
]  # fmt: skip

AZURE_CLI: Final = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""The client id of the Azure CLI, a public client in every tenant."""


class PrincipalKind(StrEnum):
    APP = "app"
    MANAGED_IDENTITY = "managed-identity"
    USER = "user"
    BLUEPRINT = "blueprint"  # an app that agents are made from
    AGENT = "agent"
    AGENT_USER = "agent-user"

    @property
    def person(self) -> bool:
        """Whether Graph has it under `/users`."""
        return self in (PrincipalKind.USER, PrincipalKind.AGENT_USER)


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Describes the tokens of another issuer that are accepted in place of a secret."""

    issuer: str
    subject: str
    audience: str = "api://AzureADTokenExchange"


@dataclass(slots=True, kw_only=True)
class RegisteredPrincipal:
    """A principal that tokens can be about. All but people have a client id. `parent` is a client id: an agent's
    blueprint, or the agent of an agent's user."""

    kind: PrincipalKind
    display: str
    client_id: str | None = None
    oid: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    certificates: tuple[x509.Certificate, ...] = ()
    federated: tuple[FederatedCredential, ...] = ()
    public: bool = False  # a client without a secret
    parent: str | None = None
    upn: str | None = None
    system_assigned: bool = False
    roles: tuple[str, ...] = ()  # app roles of the API
    graph_roles: tuple[str, ...] = ()  # application permissions of Graph, consented to
    owners: tuple[str, ...] = ()  # object ids, of principals
    sponsors: tuple[str, ...] = ()  # of an agent or a blueprint: object ids, of principals and groups
    contexts: tuple[str, ...] = ()  # authentication contexts that were satisfied: `acrs`
    redirect_uris: tuple[str, ...] = ()  # of a client with which people sign in, to the letter
    enabled: bool = True

    def __post_init__(self) -> None:
        """Fill in missing values. The object id is derived from the client id, so that it survives a restart."""
        if self.client_id is None and not self.kind.person:
            self.client_id = str(uuid.uuid4())
        if not self.oid:
            known = self.client_id and uuid.uuid5(uuid.UUID(self.client_id), "service principal")
            self.oid = str(known or uuid.uuid4())
        if self.upn is None and self.kind.person:
            self.upn = f"{'.'.join(self.display.lower().split())}@example.com"

    def has_secret(self, given: str) -> bool:
        """Compares with every secret of the principal, in constant time."""
        matches = [secrets.compare_digest(given.encode(), each.encode()) for each in self.secrets]
        return any(matches)


class GroupClaims(StrEnum):
    """`groupMembershipClaims` of the API registration."""

    NONE = "none"
    SECURITY = "security"
    APPLICATION = "application"  # direct members of the groups that are assigned to the API, only


OPTIONAL_CLAIMS: Final = frozenset({
    "idtyp", "include_user_token", "acrs", "auth_time", "use_guid", "xms_act_fct", "xms_sub_fct",
    "xms_par_app_azp", "xms_idrel",
})  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Api:
    """The registration of the API that tokens are for. It decides which claims they have."""

    client_id: str
    version: int = 2  # `requestedAccessTokenVersion`
    uris: tuple[str, ...] = ()
    others: tuple[str, ...] = ()  # client ids of further APIs, registered with the same settings
    group_claims: GroupClaims = GroupClaims.SECURITY
    assigned_groups: frozenset[str] = frozenset()
    optional_claims: frozenset[str] = OPTIONAL_CLAIMS - {"use_guid"}
    assignment_required: bool = False
    scopes: tuple[str, ...] = ("access",)
    most_groups: int = 200  # with more groups, a token only names the address to read them from

    def __post_init__(self) -> None:
        self.uris = self.uris or (f"api://{self.client_id}",)


class TenantDirectory:
    """One tenant."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.principals: dict[str, RegisteredPrincipal] = {}
        self.members: dict[str, dict[str, None]] = {}  # group -> its members, in the order in which they came
        self.names: dict[str, str] = {}  # group -> display name
        self.add(
            RegisteredPrincipal(
                kind=PrincipalKind.APP, display="Microsoft Azure CLI", client_id=AZURE_CLI, public=True
            )
        )

    def add(self, principal: RegisteredPrincipal, groups: Iterable[str] = ()) -> RegisteredPrincipal:
        """Replaces a principal with the same object id or client id, and its memberships."""
        former = self.client(principal.client_id) if principal.client_id else None
        for oid in {principal.oid, *([former.oid] if former else [])}:
            self.delete(oid)
        self.principals[principal.oid] = principal
        for group in groups:
            self.join(group, principal.oid)
        return principal

    def delete(self, oid: str) -> bool:
        """False if there is no such principal."""
        for members in self.members.values():
            members.pop(oid, None)
        return self.principals.pop(oid, None) is not None

    def client(self, client_id: str) -> RegisteredPrincipal | None:
        return next((each for each in self.principals.values() if each.client_id == client_id), None)

    def user(self, name: str) -> RegisteredPrincipal | None:
        """By object id or user principal name."""
        people = (each for each in self.principals.values() if each.kind.person)
        return next((each for each in people if name.lower() in (each.oid, (each.upn or "").lower())), None)

    def join(self, group: str, member: str) -> None:
        """`member` may be a group."""
        self.members.setdefault(group, {})[member] = None

    def leave(self, group: str, member: str) -> bool:
        """False if it was no member."""
        return member in self.members.get(group, {}) and self.members[group].pop(member) is None

    def groups_of(self, oid: str) -> list[str]:
        """All groups of a principal, also through other groups. Always current."""
        found: dict[str, None] = {}
        asked = [oid]
        while asked:
            member = asked.pop(0)
            for group in self.direct_groups_of(member):
                if group not in found:
                    found[group] = None
                    asked.append(group)
        return list(found)

    def direct_groups_of(self, oid: str) -> list[str]:
        return [group for group, members in self.members.items() if oid in members]

    def state(self) -> Mapping[str, object]:
        """The whole tenant without its secrets, for the admin API."""
        return {
            "principals": [
                {
                    "oid": each.oid, "kind": each.kind, "name": each.display, "client_id": each.client_id,
                    "upn": each.upn, "enabled": each.enabled, "parent": each.parent, "roles": list(each.roles),
                    "groups": self.groups_of(each.oid),
                }
                for each in self.principals.values()
            ],
            "groups": {group: list(members) for group, members in self.members.items()},
        }  # fmt: skip
