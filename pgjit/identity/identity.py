"""Who calls: the value that a verified token becomes. Decides nothing and reads no token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

__all__ = ["Credential", "GroupId", "Identity", "IdentityKey", "IdentityKind"]

GroupId = NewType("GroupId", str)
"""What a group is told by: with Entra its object id, a GUID in lower case. Never a display name."""


class IdentityKind(StrEnum):
    APP = "app"
    USER = "user"
    AGENT = "agent"
    AGENT_USER = "agent-user"


class Credential(StrEnum):
    """How the app that got the token proved itself (`azpacr`)."""

    NONE = "none"  # a public client: it has nothing to prove itself with
    SECRET = "secret"  # noqa: S105 - the name of the kind
    CERTIFICATE = "certificate"  # or another signed assertion, a federated one included


class IdentityKey(NamedTuple):
    """What an identity is told by. With Entra: tenant id and object id, GUIDs in lower case."""

    tid: str
    oid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A caller whose token was verified. `display` is for showing only and is never compared."""

    key: IdentityKey
    kind: IdentityKind
    app_id: str | None
    display: str
    groups: frozenset[GroupId]
    token_id: str  # `uti` of the token: joins our records with the provider's sign-in log
    issued_at: datetime
    expires_at: datetime
    roles: frozenset[str] = frozenset()  # app roles: good for as long as the token is
    groups_known: bool = True  # False: the token says that there are more than it holds
    blueprint_id: str | None = None  # of an agent: what it was made from. For the record; nothing is granted by it
    on_behalf_of: str | None = None  # object id of the user for whom an agent acts; it is `key.oid` then
    credential: Credential | None = None  # None: the token does not say
    acrs: frozenset[str] = frozenset()  # authentication contexts that were met

    @property
    def is_user(self) -> bool:
        """Whether the directory keeps it among its users; it keeps all others among its service principals."""
        return self.kind in (IdentityKind.USER, IdentityKind.AGENT_USER)

    @property
    def principals(self) -> frozenset[IdentityKind]:
        """All kinds that take part: for a user for whom an agent acts, both."""
        return frozenset({self.kind, IdentityKind.AGENT} if self.on_behalf_of else {self.kind})
