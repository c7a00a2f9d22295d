"""The errors of requests, reviews, locks and revocations: their wording, their references and HTTP statuses."""

from __future__ import annotations

from datetime import datetime, timedelta

from pgjit.errors import AccessRefused, TooManyConnections, utc_text
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request, RequestState

__all__ = [
    "AccessRevoked",
    "AgentsNeverReview",
    "AlreadySignedOff",
    "ApprovalVoid",
    "Locked",
    "MaxPerDay",
    "NoReviewHere",
    "NotAReviewer",
    "OtherHolder",
    "OutsideSchedule",
    "OwnRequest",
    "RequestDecided",
    "RequestLapsed",
    "RequestUnknown",
    "ReviewNeeded",
    "ReviewPending",
    "ReviewRefused",
    "SignedOffByUser",
    "TooManyRequests",
    "TooManySessions",
    "TooManyWindows",
    "UnfitValue",
    "WindowNotOver",
    "WindowUnknown",
]


class ReviewNeeded(AccessRefused):
    """No live approval is for exactly this. The door then makes or finds the request, and answers ReviewPending."""

    def __init__(self, policy: str) -> None:
        super().__init__(
            f"access under policy `{policy}` needs an approval",
            reference="review-needed",
            detail="No request for exactly this access is approved.",
            hint="Make a request, for example with `pgjit request`.",
        )


class ReviewPending(AccessRefused):
    """People have not decided yet."""

    status = 202

    def __init__(self, request: Request) -> None:
        review = request.review
        names = [name or group for group, name in zip(review.groups, review.group_names, strict=False)]
        who = ", ".join([*names, *review.roles]) or ", ".join(review.groups)
        missing = review.approvals - len(request.approvers)
        super().__init__(
            f"access under policy `{request.ask.policy}` waits for review",
            reference="review-pending",
            detail=f"Request {request.id} needs {missing} more approval{'' if missing == 1 else 's'} "
            f"by members of: {who}.",
            hint=f"Connect again when it is approved. It lapses at {utc_text(request.lapses_at)}.",
        )
        self.request = request


class ReviewRefused(AccessRefused):
    def __init__(self, request: Request) -> None:
        refusal = next((each for each in reversed(request.verdicts) if each.verdict == "refused"), None)
        retry = request.retry_at
        super().__init__(
            f"access under policy `{request.ask.policy}` was refused",
            reference="review-refused",
            detail=f"Request {request.id} was refused by {refusal.by.display}: {refusal.comment}."
            if refusal
            else f"Request {request.id} was refused.",
            hint=None if retry is None else f"A new request may be made from {utc_text(retry)}.",
        )
        self.request = request


class RequestDecided(AccessRefused):
    """A late or second verdict, or another change of a request that does not change any more."""

    status = 409

    def __init__(self, request: Request) -> None:
        super().__init__(
            f"request is already {request.state}",
            reference="request-lapsed" if request.state is RequestState.LAPSED else "request-decided",
            detail=f"Request {request.id} is {request.state}. It changes no more by this.",
            hint="A new request is needed for new access.",
        )
        self.request = request


class RequestLapsed(RequestDecided):
    """It was not decided, or not used, in time."""


class RequestUnknown(AccessRefused):
    status = 404

    def __init__(self, request_id: str) -> None:
        super().__init__(
            "request does not exist",
            reference="request-unknown",
            detail=f"There is no request {request_id[:80]!r}.",
            hint="`pgjit requests` lists the requests that you may see.",
        )


class WindowUnknown(AccessRefused):
    status = 404

    def __init__(self, window_id: str) -> None:
        super().__init__(
            "window does not exist",
            reference="window-unknown",
            detail=f"There is no window {window_id[:80]!r}.",
            hint="`pgjit windows` lists the windows that you may see.",
        )


class OwnRequest(AccessRefused):
    def __init__(self, request: Request) -> None:
        super().__init__(
            "nobody reviews a request of their own",
            reference="own-request",
            detail=f"Request {request.id} is yours, or that of an agent that acts for you or belongs to you.",
            hint="Another reviewer has to decide it.",
        )


class OtherHolder(AccessRefused):
    """The window belongs to another holder, by a token that shows another kind of caller."""

    def __init__(self, policy: str) -> None:
        super().__init__(
            f"window under policy `{policy}` is not for this caller",
            reference="other-holder",
            detail="It was opened by the same identity, whose token showed another kind of caller or another app.",
            hint="Use it as it was opened, or wait until it and the cooldown are over.",
        )


class NotAReviewer(AccessRefused):
    def __init__(self, request: Request) -> None:
        super().__init__(
            "request is not yours to review",
            reference="not-a-reviewer",
            detail=f"You are in none of the groups and hold none of the roles that review request {request.id}.",
            hint="A member of one of those groups has to decide it.",
        )


class AgentsNeverReview(AccessRefused):
    def __init__(self) -> None:
        super().__init__(
            "only people review requests",
            reference="agents-never-review",
            detail="The token is of an app or an agent, or an agent uses it on behalf of a person.",
            hint="Sign in as a person, without an agent.",
        )


class ApprovalVoid(AccessRefused):
    status = 409

    def __init__(self, request: Request, why: str, *, verdict: str = "approval") -> None:
        a_verdict = "An approval" if verdict == "approval" else f"A {verdict}"
        super().__init__(
            f"{verdict} does not apply",
            reference="approval-void",
            detail=f"{a_verdict} of request {request.id} is for exactly what was asked. {why}",
            hint="Make a new request.",
        )


class NoReviewHere(AccessRefused):
    status = 409

    def __init__(self, policy: str) -> None:
        super().__init__(
            f"policy `{policy}` needs no request",
            reference="no-review",
            detail="Connecting opens a window under this policy.",
            hint="Connect.",
        )


class TooManyRequests(AccessRefused):
    status = 429

    def __init__(self, policy: str, at_most: int) -> None:
        super().__init__(
            f"too many requests under policy `{policy}`",
            reference="too-many-requests",
            detail=f"An identity may make {at_most} requests an hour under one policy.",
            hint="Ask a reviewer about the requests that were made, or wait an hour.",
        )


class UnfitValue(AccessRefused):
    """A text or a duration of a call is missing, too long or out of bounds."""

    status = 422

    def __init__(self, message: str, reference: str, detail: str, hint: str) -> None:
        super().__init__(message, reference=reference, detail=detail, hint=hint)

    @classmethod
    def ttl(cls, policy: str, longest: timedelta) -> UnfitValue:
        return cls(
            "ttl is not one that the policy gives",
            "ttl-too-long",
            f"Policy `{policy}` gives at most {longest}.",
            "Ask for that or less.",
        )


class Locked(AccessRefused):
    status = 423

    def __init__(self, lock: Lock) -> None:
        super().__init__(
            "access is locked",
            reference="locked",
            detail=f"Lock {lock.id} on {lock.scope}: {lock.reason}",
            hint="Wait until an administrator lifts the lock."
            if lock.until is None
            else f"The lock is in force until {utc_text(lock.until)}, unless an administrator lifts it.",
        )
        self.lock = lock


class AccessRevoked(AccessRefused):
    def __init__(self, *, policy: str, reason: str | None, retry_at: datetime) -> None:
        super().__init__(
            f"window under policy `{policy}` was revoked",
            reference="window-revoked",
            detail=f"The reason: {reason}" if reason else None,
            hint=f"A new window may be requested from {utc_text(retry_at)}.",
        )
        self.retry_at = retry_at


class MaxPerDay(AccessRefused):
    def __init__(self, *, policy: str, most: int) -> None:
        super().__init__(
            f"no more windows under policy `{policy}` today",
            reference="max-per-day",
            detail=f"The policy gives {most} windows in 24 hours.",
            hint="Connect again when 24 hours have passed since the first of them.",
        )


class TooManyWindows(AccessRefused):
    """A person and agents that act for them have too many windows at once."""

    def __init__(self, *, policy: str, most: int) -> None:
        super().__init__(
            f"too many windows under policy `{policy}` at once",
            reference="too-many-windows",
            detail=f"A person and the agents that act for them have at most {most}.",
            hint="Connect again when one of them is over, and the cooldown after it.",
        )


class OutsideSchedule(AccessRefused):
    def __init__(self, *, policy: str, opens_at: datetime) -> None:
        super().__init__(
            f"policy `{policy}` gives no access at this time",
            reference="outside-schedule",
            detail="The policy has a schedule.",
            hint=f"The schedule opens next at {utc_text(opens_at)}.",
        )
        self.opens_at = opens_at


class SignedOffByUser(AccessRefused):
    def __init__(self, window_id: str) -> None:
        super().__init__(
            "nobody signs off a window of their own",
            reference="own-request",
            detail=f"Window {window_id} is yours, or that of an agent that belongs to you.",
            hint="Another reviewer has to look at it.",
        )


class AlreadySignedOff(AccessRefused):
    status = 409

    def __init__(self, window_id: str) -> None:
        super().__init__(
            "window is not to be signed off",
            reference="already-signed-off",
            detail=f"Window {window_id} is signed off already, or was not opened by `break-glass`.",
            hint="`pgjit windows --unsigned` shows the windows that wait for a sign-off.",
        )


class WindowNotOver(AccessRefused):
    """A sign-off is for all that was done in the window: it would leave out what is still to come."""

    status = 409

    def __init__(self, window_id: str) -> None:
        super().__init__(
            "window is not over yet",
            reference="window-not-over",
            detail=f"Sessions may still run in window {window_id}: it cannot be signed off.",
            hint="Wait for its end, or revoke it: `pgjit windows` shows when it ends.",
        )


class TooManySessions(TooManyConnections):
    """The policy's limit of sessions is reached, over all nodes together."""

    def __init__(self, most: int) -> None:
        super().__init__(
            "too many sessions under this policy",
            reference="limit-sessions",
            detail=f"The policy gives at most {most} at once (limits.sessions).",
            hint="Close sessions that are not used, or use a smaller pool.",
        )
