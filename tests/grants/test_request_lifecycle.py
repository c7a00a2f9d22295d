from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pgjit.errors import AccessRefused
from pgjit.grants.holder import Holder
from pgjit.grants.request import Request, RequestState
from pgjit.grants.request_lifecycle import TRANSITIONS, RequestChange, approve, is_due, lapse, refuse, use, withdraw
from pgjit.grants.request_refusals import ApprovalVoid, OwnRequest, RequestDecided, RequestLapsed, UnfitValue
from pgjit.identity.identity import IdentityKind
from tests.contracts.store import HOUR, NOW
from tests.grants.review_cast import CAROL, DAVE, MINUTE, request, reviewer

P, A = RequestState.PENDING, RequestState.APPROVED


def test_only_a_live_request_changes() -> None:
    assert {state for state, _ in TRANSITIONS} == {P, A} == {state for state in RequestState if state.live}


@pytest.mark.parametrize("state", [state for state in RequestState if not state.live])
@pytest.mark.parametrize("change", ["approve", "refuse", "withdraw", "use"])
def test_a_request_that_is_over_changes_no_more(state: RequestState, change: str) -> None:
    over = replace(request(), state=state)
    with pytest.raises(RequestDecided) as refused:
        _change(over, change)
    assert state.value in refused.value.message
    assert refused.value.status == 409


def _change(one: Request, change: str, now: datetime = NOW) -> Request:
    match change:
        case "approve":
            return approve(one, reviewer(CAROL), now)
        case "refuse":
            return refuse(one, reviewer(CAROL), now, reason="no")
        case "withdraw":
            return withdraw(one, now)
        case _:
            return use(one, one.ask, "w_1", now)


def test_one_approval_decides_where_one_is_needed() -> None:
    approved = approve(request(), reviewer(CAROL), NOW, comment="fine")
    assert (approved.state, approved.open_by) == (A, NOW + 15 * MINUTE)
    assert approved.approvers == (reviewer(CAROL).actor,)


def test_two_people_are_two_people_and_one_person_twice_is_one() -> None:
    first = approve(request(approvals=2), reviewer(CAROL), NOW)
    assert first.state is P
    assert approve(first, reviewer(CAROL), NOW) is first
    assert approve(first, reviewer(DAVE), NOW).state is A


def test_who_has_approved_does_not_refuse_and_who_has_refused_does_not_approve() -> None:
    first = approve(request(approvals=2), reviewer(CAROL), NOW)
    with pytest.raises(RequestDecided):
        refuse(first, reviewer(CAROL), NOW, reason="after all")
    refused = refuse(request(approvals=2, one_refusal_ends=False), reviewer(CAROL), NOW, reason="no")
    assert refused.state is P
    with pytest.raises(RequestDecided):
        approve(refused, reviewer(CAROL), NOW)
    assert refuse(refused, reviewer(DAVE), NOW, reason="no").state is RequestState.REFUSED


def test_one_refusal_ends_it_and_starts_the_cooldown() -> None:
    refused = refuse(request(), reviewer(CAROL), NOW, reason="not on a Tuesday")
    assert (refused.state, refused.retry_at) == (RequestState.REFUSED, NOW + HOUR)
    assert refuse(refused, reviewer(CAROL), NOW, reason="again") is refused
    with pytest.raises(UnfitValue):
        refuse(request(), reviewer(CAROL), NOW, reason="  ")


@pytest.mark.parametrize(
    ("ttl", "granted"),
    [(None, HOUR), (HOUR, HOUR), (5 * MINUTE, 5 * MINUTE), (timedelta(), None), (2 * HOUR, None), (MINUTE / 2, None)],
)
def test_a_reviewer_shortens_the_ttl_within_bounds(ttl: timedelta | None, granted: timedelta | None) -> None:
    if granted is None:
        with pytest.raises(UnfitValue):
            approve(request(), reviewer(CAROL), NOW, ttl=ttl)
    else:
        assert approve(request(), reviewer(CAROL), NOW, ttl=ttl).ttl == granted


def test_the_shortest_cap_counts() -> None:
    first = approve(request(approvals=2), reviewer(CAROL), NOW, ttl=5 * MINUTE)
    assert approve(first, reviewer(DAVE), NOW, ttl=20 * MINUTE).ttl == 5 * MINUTE


def test_an_approval_of_another_digest_is_void() -> None:
    with pytest.raises(ApprovalVoid):
        approve(request(), reviewer(CAROL), NOW, digest="0" * 64)
    assert approve(request(), reviewer(CAROL), NOW, digest=request().ask.digest).state is A


def test_a_verdict_after_the_lapse_is_refused() -> None:
    pending = request()
    assert not is_due(pending, NOW + HOUR - MINUTE)
    assert lapse(pending, NOW) is pending
    for change in ("approve", "refuse"):
        with pytest.raises(RequestLapsed) as refused:
            _change(pending, change, NOW + HOUR)
        assert refused.value.reference == "request-lapsed"
    assert lapse(pending, NOW + HOUR).state is RequestState.LAPSED


def test_an_approval_is_used_once_in_time_and_for_exactly_what_was_asked() -> None:
    approved = approve(request(), reviewer(CAROL), NOW)
    used = use(approved, approved.ask, "w_1", NOW + 14 * MINUTE)
    assert (used.state, used.window) == (RequestState.USED, "w_1")
    with pytest.raises(RequestLapsed):
        use(approved, approved.ask, "w_1", NOW + 15 * MINUTE)
    for other in (
        replace(approved.ask, reason="another"),
        replace(approved.ask, ticket=""),
        replace(approved.ask, policy_version="1" * 64),
        replace(approved.ask, connection="another"),
        replace(approved.ask, ttl=HOUR - timedelta(microseconds=1)),
    ):
        with pytest.raises(ApprovalVoid):
            use(approved, other, "w_1", NOW)
    for once in (used, request()):
        with pytest.raises(AccessRefused):
            use(once, once.ask, "w_2", NOW)


def test_an_approval_is_for_the_holder_that_asked() -> None:
    user = Holder(kind=IdentityKind.USER)
    agent = Holder(kind=IdentityKind.USER, app_id="an-agent", on_behalf_of="a-user")
    holders = (None, user, agent, replace(agent, app_id="other"), replace(agent, blueprint_id="a-blueprint"))
    assert len({replace(request().ask, holder=holder).digest for holder in holders}) == len(holders)


def test_fields_do_not_run_into_each_other_in_a_digest() -> None:
    ask = request().ask
    one, other = replace(ask, policy="ab", policy_version="c"), replace(ask, policy="a", policy_version="bc")
    assert one.digest != other.digest


def test_its_own_request_is_refused_before_anything_else_is_looked_at() -> None:
    over = replace(request(), state=RequestState.REFUSED)
    with pytest.raises(OwnRequest):
        approve(over, replace(reviewer(CAROL), actor=replace(reviewer(CAROL).actor, key=over.ask.identity)), NOW)


def test_every_change_is_in_the_table() -> None:
    assert {change for _, change in TRANSITIONS} == set(RequestChange)
