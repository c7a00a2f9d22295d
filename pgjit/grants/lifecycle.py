"""When a window opens, when a login joins it, when it is over, and when the next one may open. Pure: `now` is given.

Decides from the latest window of an identity under a policy. Does not know where windows are kept, nor what
happens to the sessions of a window that ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pgjit.errors import AccessRefused, CoolingDown
from pgjit.grants.window import Login, Window
from pgjit.policy.policy import Policy

__all__ = [
    "Join",
    "Open",
    "OtherSource",
    "Refused",
    "TokenUsed",
    "WindowDecision",
    "decide",
    "effective_end",
    "under_policy",
]


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


WindowDecision = Join | Open | Refused | OtherSource | TokenUsed


def effective_end(window: Window, policy: Policy) -> datetime:
    """The end of `window` under the policy as it is now.

    INVARIANT: never later than the end that was granted. A shorter ttl ends open windows earlier. A longer ttl counts
    for the next window only.
    """
    return min(window.ends_at, window.opened_at + policy.ttl)


def under_policy(window: Window, policy: Policy) -> Window:
    """`window` with the end that is in force under `policy`; `retry_at` does not change."""
    return replace(window, ends_at=effective_end(window, policy))


def decide(
    latest: Window | None,
    policy: Policy,
    now: datetime,
    *,
    seen: datetime | None = None,
    login: Login | None = None,
    token_used: bool = False,
) -> WindowDecision:
    """Whether `login` joins the window, opens one, or is refused.

    `seen` is the latest moment in the store. If `now` is earlier, the clock was set back: a window that was over at
    `seen` stays over. The times of a window that opens are still counted from `now`: counted from `seen`, it would be
    longer than its ttl by every clock that is right.
    """
    admission = _by_time(latest, policy, _utc(now), seen)
    if isinstance(admission, Refused):
        return admission
    terms = policy.identity
    if terms.single_use_token and (login is None or token_used):
        return TokenUsed(policy=policy.name)
    if terms.bind_to_source and (
        login is None or (isinstance(admission, Join) and admission.window.source != login.source)
    ):
        return OtherSource(policy=policy.name)
    return admission


def _by_time(latest: Window | None, policy: Policy, now: datetime, seen: datetime | None) -> Join | Open | Refused:
    at = now if seen is None else max(now, _utc(seen))
    if latest is None:
        return _open(policy, now)
    ended_at = _end(latest, policy, at)
    if at < ended_at:
        return Join(under_policy(latest, policy))
    if at < latest.retry_at:
        return Refused(policy=policy.name, ended_at=ended_at, retry_at=latest.retry_at)
    return _open(policy, now)


def _open(policy: Policy, now: datetime) -> Open:
    ends_at = now + policy.ttl
    return Open(opened_at=now, ends_at=ends_at, retry_at=ends_at + policy.cooldown)


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
