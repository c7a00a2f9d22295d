"""Who calls: the value that a verified token becomes. Decides nothing and reads no token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

__all__ = ["GroupId", "Identity", "IdentityKey", "IdentityKind"]

GroupId = NewType("GroupId", str)
"""A group's object id: a GUID in lower case. Never a display name."""


class IdentityKind(StrEnum):
    APP = "app"
    USER = "user"
    AGENT = "agent"
    AGENT_USER = "agent-user"


class IdentityKey(NamedTuple):
    """What an identity is told by: tenant id and object id, GUIDs in lower case."""

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
