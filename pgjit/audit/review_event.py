"""What people decided: the events of requests, reviews, locks and revocations, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgjit.grants.actor import Actor
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request, Verdict
from pgjit.grants.standing_orders import SessionKill
from pgjit.grants.window import Window

__all__ = [
    "BreakGlassSignedOff",
    "BreakGlassUsed",
    "LockLifted",
    "LockSet",
    "NotificationFailed",
    "RequestEnded",
    "RequestMade",
    "ReviewEvent",
    "SessionKilled",
    "VerdictGiven",
    "WindowAdopted",
    "WindowRevoked",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewEvent:
    """`entry`: its number in the store's journal outbox. After a crash a record may come twice, with one number."""

    at: datetime
    entry: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMade(ReviewEvent):
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictGiven(ReviewEvent):
    request: Request
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEnded(ReviewEvent):
    """It was approved, refused, withdrawn or used, or it lapsed."""

    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRevoked(ReviewEvent):
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAdopted(ReviewEvent):
    """This node ends a window that a dead node had, with the backends that it left."""

    window: Window
    node: str  # the dead one


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSet(ReviewEvent):
    lock: Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class LockLifted(ReviewEvent):
    lock: Lock
    by: Actor
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKilled(ReviewEvent):
    kill: SessionKill


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassUsed(ReviewEvent):
    window: Window
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassSignedOff(ReviewEvent):
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFailed(ReviewEvent):
    """A channel was given up: the notification was not delivered."""

    channel: str
    subject: str
    attempts: int
    error: str
