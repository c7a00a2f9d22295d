"""When a window opens, when a login joins it, when it is over, and when the next one may open. Pure: `now` is given.

Decides from the latest window of an identity under a policy. Does not know where windows are kept, nor what
happens to the sessions of a window that ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pgjit.errors import AccessRefused, CoolingDown
from pgjit.grants.lock import Lock, matching_lock
from pgjit.grants.request import Ask, Request, RequestState
from pgjit.grants.request_refusals import (
    AccessRevoked,
    Locked,
    MaxPerDay,
    OtherHolder,
    OutsideSchedule,
    ReviewNeeded,
    ReviewRefused,
    TooManyWindows,
    UnfitValue,
)
from pgjit.grants.window import Login, LoginAsk, Window
from pgjit.identity.identity import IdentityKey
from pgjit.policy.grant_terms import Grant
from pgjit.policy.policy import Policy

__all__ = [
    "Barred",
    "Facts",
    "Join",
    "Open",
    "OtherSource",
    "Refused",
    "TokenUsed",
    "WindowDecision",
    "ask_of",
    "begun_end",
    "decide",
    "effective_end",
    "under_policy",
]


_MOST_BESIDE = 3
"""Windows of other holders beside a new one: each has a budget of its own."""


@dataclass(frozen=True, slots=True)
class Join:
    """The window is live. `window` carries the end that is in force under today's policy."""

    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """No window is live: open one with these times. They never change."""

    opened_at: datetime
    ends_at: datetime
    retry_at: datetime
    request: Request | None = None  # the approved one, which is used up in the same transaction


@dataclass(frozen=True, slots=True)
class Barred:
    """A lock, a revocation, the schedule, the number of windows in a day, or a review that is missing."""

    refusal: AccessRefused

    def error(self) -> AccessRefused:
        return self.refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the store knows about the identity and the policy at the moment of the login.

    `seen` is the latest moment in the store. If `now` is earlier, the clock was set back: a window that was over at
    `seen` stays over. The times of a window that opens are still counted from `now`: counted from `seen`, it would be
    longer than its ttl by every clock that is right.
    """

    identity: IdentityKey | None = None
    seen: datetime | None = None
    login: Login | None = None
    ask: LoginAsk | None = None
    token_used: bool = False
    locks: tuple[Lock, ...] = ()
    opened_today: int = 0  # windows of this identity under this policy in the last 24 hours
    request: Request | None = None  # its latest under this policy, by this holder
    beside: tuple[Window, ...] = ()  # of the same identity under this policy, by other holders: see `_beside`


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The last window is over, and the next may not open before `retry_at`."""

    policy: str
    ended_at: datetime
    retry_at: datetime

    def error(self) -> CoolingDown:
        return CoolingDown(policy=self.policy, ended_at=self.ended_at, retry_at=self.retry_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSource:
    """The window is bound to the address that opened it, and this login comes from another."""

    policy: str

    def error(self) -> AccessRefused:
        return AccessRefused(
            f"window under policy `{self.policy}` is bound to another address",
            reference="other-source",
            detail="The policy requires that all sessions of a window come from the address that opened it.",
            hint="Connect from that address, or wait until the window is over.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsed:
    """The token has already opened a session, and the policy accepts each token once."""

    policy: str

    def error(self) -> AccessRefused:
        return AccessRefused(
            "access token was used already",
            reference="token-used",
            detail=f"Under policy `{self.policy}` a token opens one session only.",
            hint="Get a fresh access token for every connection.",
        )


WindowDecision = Join | Open | Barred | Refused | OtherSource | TokenUsed


def effective_end(window: Window, policy: Policy) -> datetime:
    """The end of `window` under the policy as it is now.

    INVARIANT: never later than the end that was granted. A shorter ttl ends open windows earlier. A longer ttl counts
    for the next window only. A schedule that does not have the opening any more ends the window at once. What one
    node has ended, by a shorter ttl or by any other reason, is over for all nodes.
    """
    end = min(window.ends_at, window.opened_at + policy.ttl)
    if policy.terms.schedule is not None:
        end = min(end, policy.terms.schedule.open_until(window.opened_at) or window.opened_at)
    return min([end, *(at for at in (window.revoked_at, window.ending_at) if at is not None)])


def begun_end(window: Window) -> tuple[str, str | None]:
    """Why an unended window ends, and the explanation of a person: `ttl` unless an end was ordered or begun."""
    if window.revoked_at is not None:
        return "revoked", window.revoke_reason
    return window.ending_reason or "ttl", None


def under_policy(window: Window, policy: Policy) -> Window:
    """`window` with the end that is in force under `policy`; `retry_at` does not change."""
    return replace(window, ends_at=effective_end(window, policy))


def decide(latest: Window | None, policy: Policy, now: datetime, facts: Facts | None = None) -> WindowDecision:
    """Whether the login joins the window, opens one, or is refused. `latest`: the holder's latest window."""
    facts = facts or Facts()
    now = _utc(now)
    at = now if facts.seen is None else max(now, _utc(facts.seen))
    if facts.identity is not None:
        own = frozenset[IdentityKey]() if facts.login is None else facts.login.own
        lock = matching_lock(facts.locks, facts.identity, policy.name, policy.connection, now, own)
        if lock is not None:
            return Barred(Locked(lock))
    admission = _by_time(latest, policy, now, at, facts)
    if not isinstance(admission, Join | Open):
        return admission
    if isinstance(admission, Join) and not _may_join(admission.window, facts.login):
        return Barred(OtherHolder(policy.name))
    terms = policy.identity
    if terms.single_use_token and (facts.login is None or facts.token_used):
        return TokenUsed(policy=policy.name)
    if terms.bind_to_source and (
        facts.login is None or (isinstance(admission, Join) and admission.window.source != facts.login.source)
    ):
        return OtherSource(policy=policy.name)
    return admission


def _may_join(window: Window, login: Login | None) -> bool:
    """INVARIANT: an agent uses no window of the person it acts for, nor the person one of the agent."""
    return (None if login is None else login.holder) == window.holder


def ask_of(request: Request, policy: Policy, ask: LoginAsk | None, login: Login | None) -> Ask:
    """What a login asks for under today's policy; what it does not say is as it was approved."""
    ask = ask or LoginAsk()
    return Ask(
        identity=request.ask.identity,
        connection=policy.connection,
        policy=policy.name,
        policy_version=policy.version,
        ttl=request.ask.ttl if ask.ttl is None else ask.ttl,
        reason=request.ask.reason if ask.reason is None else ask.reason,
        ticket=request.ask.ticket if ask.ticket is None else ask.ticket,
        holder=None if login is None else login.holder,
    )


def _by_time(
    latest: Window | None, policy: Policy, now: datetime, at: datetime, facts: Facts
) -> Join | Open | Barred | Refused:
    if latest is not None:
        ended_at = _end(latest, policy, at)
        if at < ended_at:
            return Join(under_policy(latest, policy))
        if at < latest.retry_at:
            return _cooling_down(latest, policy, ended_at)
    return _beside(policy, at, facts) or _open(policy, now, at, facts)


def _cooling_down(latest: Window, policy: Policy, ended_at: datetime) -> Barred | Refused:
    if latest.revoked_at is not None:
        reason = latest.revoke_reason
        return Barred(AccessRevoked(policy=policy.name, reason=reason, retry_at=latest.retry_at))
    return Refused(policy=policy.name, ended_at=ended_at, retry_at=latest.retry_at)


def _beside(policy: Policy, at: datetime, facts: Facts) -> Barred | Refused | None:
    """Why windows of other holders bar a new one: the cooldown after one that is over, or that there are too many.

    INVARIANT: a person has no more time by agents that act for them. The cooldown is one for all of them.
    """
    live = 0
    for window in facts.beside:
        ended_at = _end(window, policy, at)
        live += at < ended_at
        if ended_at <= at < window.retry_at:
            return _cooling_down(window, policy, ended_at)
    return Barred(TooManyWindows(policy=policy.name, most=_MOST_BESIDE + 1)) if live >= _MOST_BESIDE else None


def _open(policy: Policy, now: datetime, at: datetime, facts: Facts) -> Open | Barred:
    """INVARIANT: the end is the earliest of the ttl, what was asked, a reviewer's cap, and the schedule's end.

    Where nobody reviews, windows of one identity end together: that of an agent when that of its person ends.
    """
    terms = policy.terms
    if terms.max_per_day is not None and facts.opened_today >= terms.max_per_day:
        return Barred(MaxPerDay(policy=policy.name, most=terms.max_per_day))
    ttl, asked, request = policy.ttl, None if facts.ask is None else facts.ask.ttl, None
    if asked is not None:
        if not timedelta() < asked <= policy.ttl:
            return Barred(UnfitValue.ttl(policy.name, policy.ttl))
        ttl = asked
    if policy.grant is Grant.REVIEW:
        request = facts.request
        if barred := _unapproved(request, policy, at, facts):
            return Barred(barred)
        ttl = ttl if request is None else min(ttl, request.ttl)
    ends_at = now + ttl
    if policy.grant is not Grant.REVIEW:
        ends_at = min([ends_at, *(end for each in facts.beside if at < (end := _end(each, policy, at)))])
    if terms.schedule is not None:
        # A clock that was set back opens nothing that the later moment would not.
        scheduled = [terms.schedule.open_until(moment) for moment in (now, at)]
        if None in scheduled:
            return Barred(OutsideSchedule(policy=policy.name, opens_at=terms.schedule.next_opening(at)))
        ends_at = min([ends_at, *(end for end in scheduled if end is not None)])
    return Open(opened_at=now, ends_at=ends_at, retry_at=ends_at + policy.cooldown, request=request)


def _unapproved(request: Request | None, policy: Policy, at: datetime, facts: Facts) -> AccessRefused | None:
    """Why no window opens under `grant: review`; None if `request` is an approval of exactly this."""
    if request is None:
        return ReviewNeeded(policy.name)
    if request.retry_at is not None and at < request.retry_at:
        return ReviewRefused(request)
    if request.state is not RequestState.APPROVED or request.open_by is None or at >= request.open_by:
        return ReviewNeeded(policy.name)
    if ask_of(request, policy, facts.ask, facts.login).digest != request.ask.digest:
        return ReviewNeeded(policy.name)
    return None


def _end(latest: Window, policy: Policy, at: datetime) -> datetime:
    """When `latest` ended or will end; not after `at` if it cannot be joined."""
    end = effective_end(latest, policy)
    if latest.ended_at is not None:
        # `ended_at` is when the end was carried out: a little after the end of the ttl. A store that was written by a
        # clock ahead of ours still shows that the window is over.
        return min(end, latest.ended_at, at)
    if latest.connection != policy.connection:
        # The window was granted for another database than the policy names today.
        return min(end, at)
    return end


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be compared")
    return moment.astimezone(UTC)
