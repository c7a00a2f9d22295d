"""How access under a policy is granted, beyond who and for how long: values only.

`load.py` reads them from YAML. The grants room and the door apply them; nothing here decides a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pgjit.identity.identity import GroupId
from pgjit.policy.schedule import Schedule

__all__ = ["Grant", "GrantTerms", "ReasonTerms", "ReviewTerms", "SignInTerms"]


class Grant(StrEnum):
    """How access is granted."""

    ON_REQUEST = "on-request"  # connecting is the request; a member of the group is granted it at once
    REVIEW = "review"  # people approve the request before a window opens


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTerms:
    """Who decides a request: people in one of the groups, or with one of the roles."""

    groups: tuple[GroupId, ...] = ()
    group_names: tuple[str | None, ...] = ()  # one for each of the groups; shown to people, never compared
    roles: tuple[str, ...] = ()  # app roles
    approvals: int = 1  # of so many different people
    one_refusal_ends: bool = True
    cap_at_least: timedelta = timedelta(minutes=1)  # a reviewer may shorten the ttl, but not below this

    @property
    def group_texts(self) -> tuple[str, ...]:
        """For each group its name, or its id where the policy gives no name."""
        names = dict(zip(self.groups, self.group_names, strict=False))
        return tuple(names.get(group) or group for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInTerms:
    """What the token of who approves has to show about the sign-in."""

    within: timedelta | None = None  # of the approval
    acrs: frozenset[str] = frozenset()  # authentication contexts


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonTerms:
    """What the requester has to write."""

    required: bool = False
    pattern: str | None = None  # all of the reason, or all of the ticket, has to match


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTerms:
    """By default: any number of windows at any time, for no written reason."""

    max_per_day: int | None = None  # windows of one identity that open within 24 hours
    schedule: Schedule | None = None  # None: at any time
    reason: ReasonTerms = ReasonTerms()
    open_within: timedelta = timedelta(minutes=15)  # from the approval to the first session
    lapse_after: timedelta = timedelta(hours=1)  # from the request to the verdict
    review: ReviewTerms | None = None
    reviewer_sign_in: SignInTerms = SignInTerms()
    break_glass: bool = False  # no review before, a sign-off afterwards by those whom `review` names
    sign_off_within: timedelta = timedelta(hours=24)  # from the window's end
