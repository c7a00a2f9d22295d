"""The contract of a directory: where group memberships are looked up while sessions are open. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from pgjit.identity.identity import GroupId, Identity, IdentityKey

__all__ = [
    "Directory", "DirectoryAnswer", "DirectoryUnavailable", "Owners", "OwnersDirectory", "Principal",
    "PrincipalState",
]  # fmt: skip


class PrincipalState(StrEnum):
    """The state of a principal's own account."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is looked up: the account of an identity, or the app that acts for it.

    With `acting` the key holds a client id instead of an object id: a user's token names its app only by that.
    """

    key: IdentityKey
    is_user: bool
    acting: bool = False

    @classmethod
    def of(cls, identity: Identity) -> Principal:
        return cls(identity.key, identity.is_user)

    @classmethod
    def acting_for(cls, identity: Identity) -> Principal | None:
        """The app or agent that acts for a user. None if the identity is an app itself."""
        if not identity.is_user or identity.app_id is None:
            return None
        return cls(IdentityKey(identity.key.tid, identity.app_id), is_user=False, acting=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryAnswer:
    """A directory's answer and the time of the query; or, with `claimed`, the claims of a token in its place."""

    at: datetime
    state: PrincipalState
    groups: frozenset[GroupId]  # the queried groups that it is a member of
    claimed: bool = False


class DirectoryUnavailable(Exception):
    """The directory gave no usable answer. The text is for the log, and quotes nothing that came by network."""

    def __init__(self, why: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Directory(Protocol):
    async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> DirectoryAnswer:
        """The state of `principal`, and those of `groups` that it is a member of, directly or transitively.

        For an app that acts for others, only the state is queried.

        Raises DirectoryUnavailable for every answer that is incomplete or malformed.
        """

    async def close(self) -> None:
        """Close connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The owners and sponsors of an app or agent. A group stands for all of its members."""

    principals: frozenset[IdentityKey] = frozenset()
    groups: frozenset[GroupId] = frozenset()


class OwnersDirectory(Directory, Protocol):
    """A directory that also knows to whom apps and agents belong."""

    async def owners(self, key: IdentityKey, now: datetime) -> Owners:
        """The owners and sponsors of the app or agent with this object id or client id.

        Nobody for a user, or for an app that is not known.

        Raises DirectoryUnavailable for every answer that is incomplete or malformed.
        """
