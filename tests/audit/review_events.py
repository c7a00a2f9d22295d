"""One event of every kind about requests, reviews, locks and revocations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pgjit.audit.review_event import (
    BreakGlassSignedOff,
    BreakGlassUsed,
    LockLifted,
    LockSet,
    NotificationFailed,
    RequestEnded,
    RequestMade,
    ReviewEvent,
    SessionKilled,
    VerdictGiven,
    WindowAdopted,
    WindowRevoked,
)
from pgjit.grants.actor import Actor
from pgjit.grants.lock import Lock
from pgjit.grants.request import Ask, Request, RequestState, Verdict
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.standing_orders import SessionKill
from pgjit.grants.window import SignOff, Window
from pgjit.identity.identity import GroupId, IdentityKey, IdentityKind
from pgjit.policy.grant_terms import ReviewTerms

__all__ = ["AT", "REQUEST", "REVIEW_EVENTS"]

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
AGENT = IdentityKey("t_1", "o_1")
CAROL = Actor(key=IdentityKey("t_1", "o_2"), display="Carol", via="api")
VERDICT = Verdict(by=CAROL, verdict="approved", at=AT, comment="for week 47", ttl=HOUR / 2)
REQUEST = Request(
    id="r_1",
    ask=Ask(identity=AGENT, connection="shop", policy="reading", policy_version="abc", ttl=HOUR, reason="diff"),
    kind=IdentityKind.APP,
    display="an agent",
    source="10.0.0.7:51000",
    own=frozenset({AGENT}),
    review=ReviewTerms(groups=(GroupId("g_1"),), group_names=("dbas",)),
    open_within=HOUR,
    cooldown=HOUR,
    created_at=AT,
    lapses_at=AT + HOUR,
    verdicts=(VERDICT,),
)
WINDOW = Window(
    id="w_1",
    identity=AGENT,
    policy="reading",
    connection="shop",
    opened_at=AT,
    ends_at=AT + HOUR,
    retry_at=AT + HOUR,
    revoked_at=AT,
    revoked_by=CAROL,
    revoke_reason="it reads too much",
    signed_off=SignOff(by=CAROL, comment="looked at", at=AT),
)
LOCK = Lock(id="l_1", scope=Scope(ScopeKind.POLICY, "reading"), reason="incident 7", set_by=CAROL, set_at=AT)
KILL = SessionKill(session_id="s_1", reason="it hangs", by=CAROL, at=AT)

REVIEW_EVENTS: dict[str, ReviewEvent] = {
    "request.made": RequestMade(at=AT, entry=1, request=REQUEST),
    "request.verdict": VerdictGiven(at=AT, entry=2, request=REQUEST, verdict=VERDICT),
    "request.ended": RequestEnded(at=AT, entry=3, request=replace(REQUEST, state=RequestState.USED, window="w_1")),
    "window.revoked": WindowRevoked(at=AT, entry=4, window=WINDOW),
    "window.adopted": WindowAdopted(at=AT, entry=11, window=WINDOW, node="two"),
    "lock.set": LockSet(at=AT, entry=5, lock=LOCK),
    "lock.lifted": LockLifted(at=AT, entry=6, lock=LOCK, by=CAROL, reason="it is over"),
    "session.killed": SessionKilled(at=AT, entry=7, kill=KILL),
    "break_glass.used": BreakGlassUsed(at=AT, entry=8, window=WINDOW, reason="the shop is down"),
    "break_glass.signed_off": BreakGlassSignedOff(at=AT, entry=9, window=WINDOW),
    "notification.failed": NotificationFailed(at=AT, channel="ops", subject="r_1", attempts=8, error="no answer"),
}
