"""How a request changes: one table of transitions, and a pure function for each. `now` is given.

A change that the table does not have is an error. A request in a state that is not live never changes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from pgjit.grants.request import Ask, Request, RequestState, Verdict
from pgjit.grants.request_refusals import ApprovalVoid, RequestDecided, RequestLapsed, UnfitValue
from pgjit.grants.reviewers import Reviewer, may_review
from pgjit.identity.identity import Identity, IdentityKey
from pgjit.policy.policy import Policy

__all__ = [
    "LONGEST_TEXT",
    "TRANSITIONS",
    "RequestChange",
    "approve",
    "file",
    "is_due",
    "lapse",
    "refuse",
    "use",
    "withdraw",
]

LONGEST_TEXT = 4096
"""Bytes of a reason or comment."""


class RequestChange(StrEnum):
    VOTE = "vote"  # a verdict that does not decide it
    APPROVE = "approve"
    REFUSE = "refuse"
    LAPSE = "lapse"
    WITHDRAW = "withdraw"
    USE = "use"


TRANSITIONS: dict[tuple[RequestState, RequestChange], RequestState] = {
    (RequestState.PENDING, RequestChange.VOTE): RequestState.PENDING,
    (RequestState.PENDING, RequestChange.APPROVE): RequestState.APPROVED,
    (RequestState.PENDING, RequestChange.REFUSE): RequestState.REFUSED,
    (RequestState.PENDING, RequestChange.LAPSE): RequestState.LAPSED,
    (RequestState.PENDING, RequestChange.WITHDRAW): RequestState.WITHDRAWN,
    (RequestState.APPROVED, RequestChange.LAPSE): RequestState.LAPSED,
    (RequestState.APPROVED, RequestChange.WITHDRAW): RequestState.WITHDRAWN,
    (RequestState.APPROVED, RequestChange.USE): RequestState.USED,
}


def file(
    request_id: str, ask: Ask, identity: Identity, policy: Policy, own: frozenset[IdentityKey], source: str | None,
    now: datetime,
) -> Request:  # fmt: skip
    """A new request, with the terms of `policy` copied into it."""
    if policy.terms.review is None:
        raise ValueError(f"policy {policy.name} has no review")
    return Request(
        id=request_id,
        ask=ask,
        kind=identity.kind,
        display=identity.display,
        source=source,
        own=own | {identity.key},
        review=policy.terms.review,
        open_within=policy.terms.open_within,
        cooldown=policy.cooldown,
        created_at=now,
        lapses_at=now + policy.terms.lapse_after,
    )


def approve(
    request: Request,
    reviewer: Reviewer,
    now: datetime,
    *,
    comment: str | None = None,
    ttl: timedelta | None = None,
    digest: str | None = None,
) -> Request:
    """The request with the approval; the same request if the same person approved it before."""
    may_review(request, reviewer)
    _check_digest(request, digest)
    if (previous := _previous(request, reviewer)) and previous.verdict == "approved":
        return request
    _decidable(request, reviewer, now)
    _check_cap(request, ttl)
    verdict = Verdict(by=reviewer.actor, verdict="approved", at=now, comment=_text(comment), ttl=ttl)
    voted = replace(request, verdicts=(*request.verdicts, verdict))
    if _people(voted, "approved") < request.review.approvals:
        return _change(voted, RequestChange.VOTE)
    return _change(voted, RequestChange.APPROVE, decided_at=now, open_by=now + request.open_within)


def refuse(request: Request, reviewer: Reviewer, now: datetime, *, reason: str, digest: str | None = None) -> Request:
    """The request with the refusal; the same request if the same person refused it before."""
    may_review(request, reviewer)
    _check_digest(request, digest, "refusal")
    if not reason.strip():
        raise UnfitValue(
            "refusal has no reason",
            "reason-required",
            f"Request {request.id} was not refused.",
            "Write why: the requester reads it.",
        )
    if (previous := _previous(request, reviewer)) and previous.verdict == "refused":
        return request
    _decidable(request, reviewer, now)
    verdict = Verdict(by=reviewer.actor, verdict="refused", at=now, comment=_text(reason))
    voted = replace(request, verdicts=(*request.verdicts, verdict))
    needed = 1 if request.review.one_refusal_ends else request.review.approvals
    if _people(voted, "refused") < needed:
        return _change(voted, RequestChange.VOTE)
    return _change(voted, RequestChange.REFUSE, decided_at=now, ended_at=now, retry_at=now + request.cooldown)


def withdraw(request: Request, now: datetime, note: str | None = None) -> Request:
    """Withdrawn by its requester, or void because something else was asked or access was revoked."""
    return _change(request, RequestChange.WITHDRAW, ended_at=now, end_note=_text(note))


def lapse(request: Request, now: datetime) -> Request:
    """Lapsed, if its time is over; else the same request."""
    return _change(request, RequestChange.LAPSE, ended_at=now) if is_due(request, now) else request


def use(request: Request, ask: Ask, window: str, now: datetime) -> Request:
    """Used up by `window`, which is for exactly what was approved. Raises RequestLapsed or ApprovalVoid."""
    if request.state is not RequestState.APPROVED:
        raise RequestDecided(request)
    if is_due(request, now):
        raise RequestLapsed(replace(request, state=RequestState.LAPSED))
    if ask.digest != request.ask.digest:
        raise ApprovalVoid(request, "This is not what was asked.")
    return _change(request, RequestChange.USE, ended_at=now, window=window)


def is_due(request: Request, now: datetime) -> bool:
    """Whether it lapses: nobody decided, or nobody opened the window, in time."""
    until = request.lapses_at if request.state is RequestState.PENDING else request.open_by
    return request.state.live and until is not None and now >= until


def _change(request: Request, change: RequestChange, **values: object) -> Request:
    state = TRANSITIONS.get((request.state, change))
    if state is None:
        raise RequestDecided(request)
    return replace(request, state=state, version=request.version + 1, **values)  # type: ignore[arg-type]


def _check_digest(request: Request, digest: str | None, verdict: str = "approval") -> None:
    """A verdict counts for what the reviewer has read alone."""
    if digest is not None and digest != request.ask.digest:
        raise ApprovalVoid(request, "The digest that was sent is of something else.", verdict=verdict)


def _previous(request: Request, reviewer: Reviewer) -> Verdict | None:
    return next((each for each in request.verdicts if each.by.key == reviewer.actor.key), None)


def _decidable(request: Request, reviewer: Reviewer, now: datetime) -> None:
    if is_due(request, now):
        raise RequestLapsed(replace(request, state=RequestState.LAPSED))
    if request.state is not RequestState.PENDING:
        raise RequestDecided(request)
    if (previous := _previous(request, reviewer)) is not None:
        raise RequestDecided(request) from ValueError(f"{previous.by.display} has {previous.verdict} it")


def _people(request: Request, verdict: str) -> int:
    return len({each.by.key for each in request.verdicts if each.verdict == verdict})


def _check_cap(request: Request, ttl: timedelta | None) -> None:
    least = min(request.review.cap_at_least, request.ask.ttl)
    if ttl is not None and not least <= ttl <= request.ask.ttl:
        raise UnfitValue(
            "ttl of the approval is out of bounds",
            "ttl-out-of-bounds",
            f"Request {request.id} asks for {request.ask.ttl}; an approval gives at least {least}.",
            "Give a ttl between the two, or none.",
        )


def _text(text: str | None) -> str | None:
    if text is not None and len(text.encode()) > LONGEST_TEXT:
        raise UnfitValue(
            "text is too long",
            "text-too-long",
            f"A reason or comment has at most {LONGEST_TEXT} bytes.",
            "Shorten it.",
        )
    return text
