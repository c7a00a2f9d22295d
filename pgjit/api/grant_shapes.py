"""What the API sends of requests, windows and locks. Values only; the names of members are those of `shapes.py`."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from pgjit.api.live_shapes import BudgetJson
from pgjit.api.shapes import IdentityJson, ReviewJson, seconds
from pgjit.grants.actor import Actor
from pgjit.grants.holder import Holder
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request, Verdict
from pgjit.grants.window import Window

__all__ = [
    "ActorJson",
    "HolderJson",
    "LockJson",
    "RequestJson",
    "VerdictJson",
    "WindowDetailJson",
    "WindowJson",
    "window_state",
]


class ActorJson(BaseModel):
    tid: str
    oid: str
    display: str

    @classmethod
    def of(cls, actor: Actor) -> ActorJson:
        return cls(tid=actor.key.tid, oid=actor.key.oid, display=actor.display)


class VerdictJson(BaseModel):
    by: ActorJson
    verdict: str
    comment: str | None
    ttl_seconds: int | None
    at: datetime
    via: str

    @classmethod
    def of(cls, verdict: Verdict) -> VerdictJson:
        return cls(
            by=ActorJson.of(verdict.by),
            verdict=verdict.verdict,
            comment=verdict.comment,
            ttl_seconds=None if verdict.ttl is None else seconds(verdict.ttl),
            at=verdict.at,
            via=verdict.by.via,
        )


class HolderJson(BaseModel):
    """Who asks or has access: for a person the kind alone; for a program also its app and the user it acts for."""

    kind: str
    app_id: str | None
    blueprint_id: str | None
    on_behalf_of: str | None

    @classmethod
    def of(cls, holder: Holder | None) -> HolderJson | None:
        if holder is None:
            return None
        return cls(
            kind=holder.kind.value,
            app_id=holder.app_id,
            blueprint_id=holder.blueprint_id,
            on_behalf_of=holder.on_behalf_of,
        )


class RequestJson(BaseModel):
    """A request. `ttl_seconds` is what was asked, `needs` the number of approvals, `digest` what they are for."""

    id: str
    state: str
    identity: IdentityJson
    holder: HolderJson | None
    policy: str
    policy_version: str
    connection: str
    reason: str | None
    ticket: str | None
    ttl_seconds: int
    created_at: datetime
    lapses_at: datetime
    decided_at: datetime | None
    open_by: datetime | None
    retry_at: datetime | None
    window: str | None
    needs: int
    review: ReviewJson
    verdicts: list[VerdictJson]
    digest: str

    @classmethod
    def of(cls, request: Request) -> RequestJson:
        ask, review = request.ask, request.review
        key = ask.identity
        return cls(
            id=request.id,
            state=request.state.value,
            identity=IdentityJson(tid=key.tid, oid=key.oid, kind=request.kind.value, display=request.display),
            holder=HolderJson.of(ask.holder),
            policy=ask.policy,
            policy_version=ask.policy_version,
            connection=ask.connection,
            reason=ask.reason or None,
            ticket=ask.ticket,
            ttl_seconds=seconds(ask.ttl),
            created_at=request.created_at,
            lapses_at=request.lapses_at,
            decided_at=request.decided_at,
            open_by=request.open_by,
            retry_at=request.retry_at,
            window=request.window,
            needs=review.approvals,
            review=ReviewJson.of(review),
            verdicts=[VerdictJson.of(each) for each in request.verdicts],
            digest=ask.digest,
        )


def window_state(window: Window, now: datetime) -> str:
    """`ending`: it is over, and its sessions are being ended."""
    if window.ended_at is not None:
        return "ended"
    over = window.revoked_at is not None or window.ending_at is not None or now >= window.ends_at
    return "ending" if over else "open"


class WindowJson(BaseModel):
    """A window. `sessions` are those that are live on this node."""

    id: str
    identity: IdentityJson
    holder: HolderJson | None
    policy: str
    connection: str
    state: str
    opened_at: datetime
    ends_at: datetime
    retry_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    revoked_by: ActorJson | None
    reason: str | None
    request: str | None
    sessions: int | None  # on all nodes; null: the store cannot be read
    break_glass: bool
    signed_off_by: ActorJson | None

    @classmethod
    def of(cls, window: Window, now: datetime, sessions: int | None) -> WindowJson:
        return cls(
            id=window.id,
            identity=IdentityJson.of_key(window.identity, window.display),
            holder=HolderJson.of(window.holder),
            policy=window.policy,
            connection=window.connection,
            state=window_state(window, now),
            opened_at=window.opened_at,
            ends_at=window.ends_at,
            retry_at=window.retry_at,
            ended_at=window.ended_at,
            end_reason=window.end_reason,
            revoked_by=None if window.revoked_by is None else ActorJson.of(window.revoked_by),
            reason=window.revoke_reason,
            request=window.request,
            sessions=sessions,
            break_glass=window.break_glass,
            signed_off_by=None if window.signed_off is None else ActorJson.of(window.signed_off.by),
        )


class WindowDetailJson(WindowJson):
    """One window with its budget: null while the store cannot be read, and no session of it is on this node."""

    budget: BudgetJson | None


class LockJson(BaseModel):
    id: str
    kind: str
    target: str | None
    until: datetime | None
    reason: str
    set_by: ActorJson
    set_at: datetime

    @classmethod
    def of(cls, lock: Lock) -> LockJson:
        return cls(
            id=lock.id,
            kind=lock.scope.kind.value,
            target=lock.scope.target,
            until=lock.until,
            reason=lock.reason,
            set_by=ActorJson.of(lock.set_by),
            set_at=lock.set_at,
        )


class NewLockJson(LockJson):
    """`identity_known`: whether pgjit or its directory has seen the identity; null if it cannot tell, or for others.

    A lock of an identity that nobody has seen holds all the same. It may be misspelt.
    """

    identity_known: bool | None = None
