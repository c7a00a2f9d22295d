"""Terms of a grant that are valid, and do less than they seem to: `pgjit policy check` prints them as warnings. Pure.

A warning is true for every request under the policy. It prevents nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pgjit.document import Document
from pgjit.policy.durations import duration_text
from pgjit.policy.grant_terms import Grant
from pgjit.policy.policy import Policy
from pgjit.policy.schedule import Schedule

__all__ = ["grant_warnings"]

_LATE = timedelta(hours=8)
_SHORT = timedelta(minutes=1)
_DAY = timedelta(days=1)
_WEEK = datetime(2026, 2, 1, tzinfo=UTC)  # of two weeks in which few time zones put their clocks forward or back


def grant_warnings(policy: Policy, document: Document) -> Iterator[str]:
    """Each begins with its place."""
    for where, text in (*_of_review(policy, document), *_of_reason(policy), *_of_window(policy)):
        yield f"{document.place(where)}: {text}"


Warned = Iterator[tuple[tuple[str, ...], str]]


def _of_review(policy: Policy, document: Document) -> Warned:
    terms, review = policy.terms, policy.terms.review
    if review is not None and policy.group is not None and not review.roles and set(review.groups) == {policy.group}:
        yield (
            ("review", "groups"),
            "the group that requests is the only one that reviews: its people decide on each other's requests",
        )
    if policy.grant is not Grant.REVIEW:
        for key in ("open_within", "lapse_after"):
            if document.written((key,)) is not None:
                yield (key,), f"`{key}` has no effect without `grant: review`"
    if not terms.break_glass and document.written(("sign_off_within",)) is not None:
        yield ("sign_off_within",), "`sign_off_within` has no effect without `break-glass`"
    if terms.break_glass:
        for key in ("approvals", "one_refusal_ends", "cap_at_least", "sign_in_within", "acrs"):
            if document.written(("review", key)) is not None:
                yield ("review", key), f"`{key}` has no effect with `break-glass`: one person signs it off afterwards"
    elif review is not None and review.approvals == 1 and not review.one_refusal_ends:
        yield ("review", "one_refusal_ends"), "`one_refusal_ends: false` has no effect: one approval is enough"
    if policy.grant is Grant.REVIEW and terms.open_within > _LATE:
        length = duration_text(terms.open_within)
        yield ("open_within",), f"an approval may be used up to {length} after it was given"
    if policy.grant is Grant.REVIEW and terms.lapse_after < _SHORT:
        length = duration_text(terms.lapse_after)
        yield ("lapse_after",), f"requests lapse after {length}: nobody can decide on them in time"


def _of_reason(policy: Policy) -> Warned:
    reason = policy.terms.reason
    if reason.pattern is not None and re.fullmatch(reason.pattern, ""):
        yield ("reason", "pattern"), "an empty ticket matches the pattern: any reason passes with it"
    if policy.terms.break_glass and not reason.required and reason.pattern is None:
        yield ("break-glass",), "those who sign off may find no reason: write `reason: required`"


def _of_window(policy: Policy) -> Warned:
    terms = policy.terms
    if terms.schedule is not None and (longest := _longest(terms.schedule)) < policy.ttl:
        ttl, most = duration_text(policy.ttl), duration_text(longest)
        yield ("schedule",), f"no window lasts the ttl of {ttl}: the schedule is open for at most {most}"
    if terms.max_per_day is not None and terms.max_per_day * policy.cooldown >= _DAY:
        length = duration_text(policy.cooldown)
        yield ("max_per_day",), f"`max_per_day` limits nothing: a cooldown of {length} allows no more windows a day"


def _longest(schedule: Schedule) -> timedelta:
    """The longest time for which the schedule is open without a gap, in a week."""
    now, longest = _WEEK, timedelta()
    while now < _WEEK + 7 * _DAY:
        opens = schedule.next_opening(now)
        until = schedule.open_until(opens)
        if until is None:  # an entry whose every occurrence falls into a jump of the clock
            break
        longest, now = max(longest, until - opens), until
    return longest
