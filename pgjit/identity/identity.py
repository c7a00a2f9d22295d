"""The identity of a caller: the value that a verified token gives. Decides nothing, and reads no token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

__all__ = ["Credential", "GroupId", "Identity", "IdentityKey", "IdentityKind"]

GroupId = NewType("GroupId", str)
"""The key of a group: with Entra its object id, a GUID in lower case. Never a display name."""


class IdentityKind(StrEnum):
    APP = "app"
    USER = "user"
    AGENT = "agent"
    AGENT_USER = "agent-user"


class Credential(StrEnum):
    """How the app that requested the token authenticated (`azpacr`)."""

    NONE = "none"  # a public client: it cannot authenticate
    SECRET = "secret"  # noqa: S105 - the name of the kind
    CERTIFICATE = "certificate"  # or another signed assertion, a federated one included


class IdentityKey(NamedTuple):
    """The key of an identity. With Entra: tenant id and object id, GUIDs in lower case."""

    tid: str
    oid: str

    @property
    def text(self) -> str:
        """As SQL, locks and revocations write it: `TENANT/OBJECT`."""
        return f"{self.tid}/{self.oid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A caller with a verified token. `display` is for display only and is never compared."""

    key: IdentityKey
    kind: IdentityKind
    app_id: str | None
    display: str
    groups: frozenset[GroupId]
    token_id: str  # `uti` of the token: joins our records with the provider's sign-in log
    issued_at: datetime
    expires_at: datetime
    roles: frozenset[str] = frozenset()  # app roles as policies write them (`app_roles.py`); valid like the token
    groups_known: bool = True  # False: the token does not list them
    blueprint_id: str | None = None  # of an agent: its blueprint. For the record only; it grants nothing
    on_behalf_of: str | None = None  # object id of the user for whom an agent acts, which is `key.oid` then
    credential: Credential | None = None  # None: not in the token
    acrs: frozenset[str] = frozenset()  # authentication contexts that were satisfied
    signed_in_at: datetime | None = None  # when the person signed in (`auth_time`); None: the token does not show it
    signed_in: bool = True  # False: nothing in the token shows that a person signed in; it may be a program's

    @property
    def is_user(self) -> bool:
        """Whether it is a user in the directory. All others are service principals."""
        return self.kind in (IdentityKind.USER, IdentityKind.AGENT_USER)

    @property
    def principals(self) -> frozenset[IdentityKind]:
        """Every kind involved: for a user on whose behalf an agent acts, both."""
        return frozenset({self.kind, IdentityKind.AGENT} if self.on_behalf_of else {self.kind})
