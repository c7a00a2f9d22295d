"""A window: the granted time, fixed when it opens. Values only; lifecycle.py decides, a store keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pgjit.grants.actor import Actor
from pgjit.grants.holder import Holder, HolderKey
from pgjit.identity.identity import IdentityKey

__all__ = ["Login", "LoginAsk", "SignOff", "Window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The facts about a login that a window can be bound to."""

    source: str  # the client's address, without its port
    token_id: str
    token_ends_at: datetime
    token_issued_at: datetime | None = None
    display: str | None = None  # the identity's name for people; never compared
    holder: Holder | None = None
    own: frozenset[IdentityKey] = frozenset()  # the identity, and those it acts through, for or with

    @property
    def acting(self) -> str | None:
        """The agent that acts for the identity, by its client id."""
        return None if self.holder is None else self.holder.acting


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAsk:
    """What a login asks for in its options. None: nothing is said, and an approved request decides."""

    ttl: timedelta | None = None
    reason: str | None = None
    ticket: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """A person other than the user has looked at a break-glass window."""

    by: Actor
    comment: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time-boxed grant to one identity under one policy. All times are aware and in UTC.

    An agent that acts for a person has a window of its own, beside that of the person.

    INVARIANT: `opened_at` and `ends_at` never change. `ended_at` is set once, when the window was ended.
    """

    id: str
    identity: IdentityKey
    policy: str
    connection: str
    opened_at: datetime
    ends_at: datetime
    retry_at: datetime  # from when a new window may be opened: end + cooldown
    ended_at: datetime | None = None
    end_reason: str | None = None  # `ttl`, `revoked`, ...
    ending_at: datetime | None = None  # set once: a node has ended its sessions then; others may have to end theirs
    ending_reason: str | None = None
    source: str | None = None  # the address of the connection that opened it
    display: str | None = None  # the holder's name for people, as it was then; never compared
    request: str | None = None  # the approved request that it was opened for
    break_glass: bool = False
    revoked_at: datetime | None = None  # set once; the sessions are ended then, and after that the window is
    revoked_by: Actor | None = None
    revoke_reason: str | None = None
    signed_off: SignOff | None = None  # of break-glass
    holder: Holder | None = None  # who opened it
    own: frozenset[IdentityKey] = frozenset()  # the principals behind the login that opened it

    @property
    def holder_key(self) -> HolderKey:
        return HolderKey(self.identity, None if self.holder is None else self.holder.acting)

    @property
    def programs(self) -> frozenset[IdentityKey]:
        """The app or agent that opened it, and its blueprint."""
        return frozenset() if self.holder is None else self.holder.programs(self.identity.tid)
