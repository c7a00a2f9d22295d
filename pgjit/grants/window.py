"""A window: the granted time, fixed when it opens. Values only; lifecycle.py decides, a store keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgjit.identity.identity import IdentityKey

__all__ = ["Login", "Window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The facts about a login that a window can be bound to."""

    source: str  # the client's address, without its port
    token_id: str
    token_ends_at: datetime
    token_issued_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time-boxed grant to one identity under one policy. All times are aware and in UTC.

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
    source: str | None = None  # the address of the connection that opened it
