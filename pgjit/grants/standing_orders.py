"""What every node has to enforce now: locks, revoked windows, sessions to kill. Values; the store returns them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgjit.grants.actor import Actor
from pgjit.grants.lock import Lock
from pgjit.grants.window import Window

__all__ = ["SessionKill", "StandingOrders"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKill:
    session_id: str
    reason: str
    by: Actor
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingOrders:
    revoked: tuple[Window, ...]  # revoked, and not ended yet
    locks: tuple[Lock, ...]  # in force
    kills: tuple[SessionKill, ...]
