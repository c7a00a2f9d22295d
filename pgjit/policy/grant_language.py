"""The keys of a policy file about how access is granted: reviews, reasons, schedules, break-glass.

Decides their shape, and which of them go together. `grant_terms.py` has the values that come of them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from pgjit.identity.app_roles import app_role
from pgjit.identity.identity import GroupId
from pgjit.policy.durations import Duration
from pgjit.policy.grant_terms import Grant, GrantTerms, ReasonTerms, ReviewTerms, SignInTerms
from pgjit.policy.identity_terms import GroupEntry, context_id
from pgjit.policy.reason_pattern import check_pattern
from pgjit.policy.schedule import Schedule, ScheduleEntry, parse_entry

__all__ = ["GrantKeys", "ReasonSection", "ReviewSection"]

_TERMS = GrantTerms()
_CAP_AT_LEAST = timedelta(minutes=1)
_LONGEST_BREAK_GLASS = timedelta(hours=1)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _reason(value: object) -> object:
    if value == "required":
        return {"required": True}
    if isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic reports a ValueError as a fault
            "must be `required`, or a section with `required` and `pattern`"
        )
    return value


def _entry(value: str) -> str:
    parse_entry(value)
    return value


_REASON: dict[str, Any] = {
    "anyOf": [
        {"const": "required"},
        {"type": "object", "properties": {"required": {"type": "boolean"}, "pattern": {"type": "string"}}},
    ]
}


class ReviewSection(_Section):
    """Who decides a request."""

    groups: list[GroupEntry] = Field(default_factory=list, max_length=20, description="whose members may review")
    roles: list[Annotated[str, BeforeValidator(app_role)]] = Field(
        default_factory=list, max_length=20, description="app roles whose holders may review"
    )
    approvals: Annotated[int, Field(ge=1, le=10, strict=True)] = Field(1, description="of so many different people")
    one_refusal_ends: bool = Field(True, description="false: as many refusals as approvals end the request")
    cap_at_least: Duration | None = Field(
        None, description="a reviewer may shorten the ttl, but not below this: 1m, or the ttl if that is shorter"
    )
    sign_in_within: Duration | None = Field(
        None, description="who approves has to have signed in so short a time ago; the token shows `auth_time`"
    )
    acrs: frozenset[Annotated[str, BeforeValidator(context_id)]] | None = Field(
        None, min_length=1, description="authentication contexts, all of which the token of who approves has to show"
    )

    @model_validator(mode="after")
    def _somebody(self) -> ReviewSection:
        if not self.groups and not self.roles:
            raise ValueError("must name at least one group or role whose members review")
        return self

    @property
    def sign_in(self) -> SignInTerms:
        return SignInTerms(within=self.sign_in_within, acrs=self.acrs or frozenset())

    def terms(self, ttl: timedelta) -> ReviewTerms:
        return ReviewTerms(
            groups=tuple(GroupId(each.value) for each in self.groups),
            group_names=tuple(each.name for each in self.groups),
            roles=tuple(self.roles),
            approvals=self.approvals,
            one_refusal_ends=self.one_refusal_ends,
            cap_at_least=min(_CAP_AT_LEAST, ttl) if self.cap_at_least is None else self.cap_at_least,
        )


class ReasonSection(_Section):
    """What the requester has to write in `pgjit.reason` or `pgjit.ticket`."""

    required: bool = Field(default=False, description="whether a reason has to be given")
    pattern: Annotated[str | None, AfterValidator(lambda value: value and check_pattern(value))] = Field(
        default=None, description="all of the reason, or all of the ticket, has to match"
    )


class GrantKeys(BaseModel):
    """The keys beside `grant`, `ttl` and `cooldown`."""

    grant: Grant = Field(description="how access is granted")
    ttl: Duration = Field(description="how long a window lasts")
    review: ReviewSection | None = Field(None, description="who decides a request; who signs break-glass off")
    max_per_day: Annotated[int | None, Field(ge=1, le=1000, strict=True)] = Field(
        None, description="windows of one identity that may open within 24 hours"
    )
    schedule: list[Annotated[str, AfterValidator(_entry)]] | None = Field(
        None, min_length=1, max_length=50, description="when windows may open, such as Tue 06:00-09:00 Europe/Berlin"
    )
    reason: Annotated[ReasonSection | None, BeforeValidator(_reason), WithJsonSchema(_REASON)] = Field(
        None, description="`required`, or a section with `required` and `pattern`"
    )
    open_within: Duration = Field(_TERMS.open_within, description="from the approval to the first session")
    lapse_after: Duration = Field(_TERMS.lapse_after, description="from the request to the verdict")
    break_glass: bool = Field(
        False, alias="break-glass", description="no review before, a loud alert, and a sign-off afterwards"
    )
    sign_off_within: Duration = Field(_TERMS.sign_off_within, description="from the end of a break-glass window")

    @model_validator(mode="after")
    def _together(self) -> GrantKeys:
        if self.grant is Grant.REVIEW and self.review is None:
            raise ValueError("must have `review` with `grant: review`: it names the groups or roles that decide")
        if self.break_glass and (self.grant is not Grant.ON_REQUEST or self.review is None):
            raise ValueError("must have `grant: on-request` and `review` with `break-glass`: reviewers sign it off")
        if self.break_glass and self.ttl > _LONGEST_BREAK_GLASS:
            raise ValueError("must have a ttl of at most 1h with `break-glass`")
        if self.review is not None and not self.break_glass and self.grant is not Grant.REVIEW:
            raise ValueError("must not have `review` with `grant: on-request`: nobody would be asked")
        if self.review is not None and (self.review.cap_at_least or self.ttl) > self.ttl:
            raise ValueError("must have a `cap_at_least` that is not longer than the ttl")
        return self

    def grant_terms(self) -> GrantTerms:
        reason = self.reason or ReasonSection()
        entries: tuple[ScheduleEntry, ...] = tuple(parse_entry(each) for each in self.schedule or ())
        return GrantTerms(
            max_per_day=self.max_per_day,
            schedule=Schedule(entries) if entries else None,
            reason=ReasonTerms(required=reason.required, pattern=reason.pattern),
            open_within=self.open_within,
            lapse_after=self.lapse_after,
            review=None if self.review is None else self.review.terms(self.ttl),
            reviewer_sign_in=SignInTerms() if self.review is None else self.review.sign_in,
            break_glass=self.break_glass,
            sign_off_within=self.sign_off_within,
        )
