"""The contract of a directory: where memberships are looked up while sessions live. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from pgjit.identity.identity import GroupId, Identity, IdentityKey

__all__ = ["Directory", "DirectoryAnswer", "DirectoryUnavailable", "Principal", "PrincipalState"]


class PrincipalState(StrEnum):
    """What the directory says of a principal itself."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom to look up: an identity without what its token says, or the app that acts for it.

    With `acting` the key holds a client id in place of an object id: a user's token names its app by no other.
    """

    key: IdentityKey
    is_user: bool
    acting: bool = False

    @classmethod
    def of(cls, identity: Identity) -> Principal:
        return cls(identity.key, identity.is_user)

    @classmethod
    def acting_for(cls, identity: Identity) -> Principal | None:
        """The app, or the agent, that acts for a user; an app that acts for itself is the identity."""
        if not identity.is_user or identity.app_id is None:
            return None
        return cls(IdentityKey(identity.key.tid, identity.app_id), is_user=False, acting=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryAnswer:
    """What a directory answered, and when it was asked; or what a token claims, until it has answered."""

    at: datetime
    state: PrincipalState
    groups: frozenset[GroupId]  # of those that were asked for
    claimed: bool = False


class DirectoryUnavailable(Exception):
    """There is no answer now. The text is for the log; it quotes nothing that came by network."""

    def __init__(self, why: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Directory(Protocol):
    async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> DirectoryAnswer:
        """The state of `principal`, and of which of `groups` it is a member, directly or through other groups.

        Of an app that acts for others the state is all that is asked for.

        Raises DirectoryUnavailable for every answer that is not a whole and sound one.
        """

    async def close(self) -> None:
        """Close connections."""
