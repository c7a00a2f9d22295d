from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.grants.holder import Holder
from pgjit.grants.lifecycle import Barred, Facts, Join, Open, Refused, decide, effective_end, under_policy
from pgjit.grants.lock import Lock
from pgjit.grants.request_lifecycle import approve
from pgjit.grants.scope import Scope
from pgjit.grants.window import LoginAsk, Window
from pgjit.identity.identity import IdentityKey, IdentityKind
from pgjit.policy.grant_terms import GrantTerms
from pgjit.policy.policy import Policy
from pgjit.policy.schedule import Schedule, parse_entry
from tests.contracts.store import ALICE, HOUR, NOW, POLICY, login, store_contract_policy
from tests.grants.review_cast import ADMIN, CAROL, REVIEWED, request, reviewer

WINDOW = Window(
    id="w_1",
    identity=ALICE,
    policy="schema-checks",
    connection="shop",
    opened_at=NOW,
    ends_at=NOW + HOUR,
    retry_at=NOW + 2 * HOUR,
)
TICK = timedelta(microseconds=1)


def _open(at: datetime) -> Open:
    return Open(opened_at=at, ends_at=at + HOUR, retry_at=at + 2 * HOUR)


def _refused(ended_at: datetime) -> Refused:
    return Refused(policy="schema-checks", ended_at=ended_at, retry_at=NOW + 2 * HOUR)


@pytest.mark.parametrize(
    ("latest", "now", "expected"),
    [
        pytest.param(None, NOW, _open(NOW), id="nobody had one"),
        pytest.param(WINDOW, NOW, Join(WINDOW), id="just opened"),
        pytest.param(WINDOW, NOW + HOUR - TICK, Join(WINDOW), id="its last microsecond"),
        pytest.param(WINDOW, NOW + HOUR, _refused(NOW + HOUR), id="at its end"),
        pytest.param(WINDOW, NOW + 2 * HOUR - TICK, _refused(NOW + HOUR), id="last of the cooldown"),
        pytest.param(WINDOW, NOW + 2 * HOUR, _open(NOW + 2 * HOUR), id="cooldown over"),
        pytest.param(WINDOW, NOW - HOUR, Join(WINDOW), id="clock behind the opening, end unmoved"),
        pytest.param(
            replace(WINDOW, ended_at=NOW + 3 * TICK, end_reason="revoked"),
            NOW + 4 * TICK,
            _refused(NOW + 3 * TICK),
            id="revoked",
        ),
        pytest.param(
            replace(WINDOW, ended_at=NOW + HOUR + 9 * TICK, end_reason="ttl"),
            NOW + HOUR + 10 * TICK,
            _refused(NOW + HOUR),
            id="the end is when it was due, not when it was carried out",
        ),
        pytest.param(
            replace(WINDOW, ended_at=NOW + 3 * TICK, end_reason="revoked"),
            NOW + 2 * TICK,
            _refused(NOW + 2 * TICK),
            id="revoked by a clock that is ahead",
        ),
        pytest.param(
            replace(WINDOW, connection="other"), NOW + TICK, _refused(NOW + TICK), id="for another database"
        ),
    ],
)
def test_what_becomes_of_someone_who_asks(
    latest: Window | None, now: datetime, expected: Join | Open | Refused
) -> None:
    assert decide(latest, POLICY, now) == expected


USER = Holder(kind=IdentityKind.USER)
AGENT_FOR_USER = Holder(kind=IdentityKind.USER, app_id="an-agent", on_behalf_of="a-user")
OTHER_AGENT = replace(AGENT_FOR_USER, app_id="another-agent")
BREAK_GLASS = replace(POLICY, terms=GrantTerms(break_glass=True))


@pytest.mark.parametrize("policy", [REVIEWED, BREAK_GLASS, POLICY])
@pytest.mark.parametrize(
    ("opener", "comer"),
    [(USER, AGENT_FOR_USER), (AGENT_FOR_USER, USER), (AGENT_FOR_USER, OTHER_AGENT), (None, USER), (USER, None)],
)
def test_a_window_is_joined_by_its_own_holder_only(
    policy: Policy, opener: Holder | None, comer: Holder | None
) -> None:
    window = replace(WINDOW, holder=opener)
    refused = decide(window, policy, NOW, Facts(login=replace(login(), holder=comer)))
    assert isinstance(refused, Barred)
    assert refused.error().reference == "other-holder"
    assert decide(window, policy, NOW, Facts(login=replace(login(), holder=opener))) == Join(window)


BESIDE = tuple(replace(WINDOW, id=f"w_{n}", holder=replace(OTHER_AGENT, app_id=f"agent-{n}")) for n in range(3))


@pytest.mark.parametrize("policy", [POLICY, BREAK_GLASS])
def test_a_window_beside_others_of_the_identity_ends_with_the_first_of_them(policy: Policy) -> None:
    others = (BESIDE[0], replace(BESIDE[1], ending_at=NOW + 9 * TICK, ending_reason="ttl"))
    opened = decide(None, policy, NOW + TICK, Facts(beside=others))
    assert isinstance(opened, Open)
    assert (opened.opened_at, opened.ends_at) == (NOW + TICK, NOW + 9 * TICK)
    assert opened.retry_at == opened.ends_at + policy.cooldown


def test_what_people_approved_is_not_cut_by_other_windows_of_the_identity() -> None:
    approved = approve(request(now=NOW), reviewer(CAROL), NOW)
    facts = Facts(request=approved, beside=(BESIDE[0],), ask=LoginAsk())
    opened = decide(None, REVIEWED, NOW + TICK, facts)
    assert isinstance(opened, Open)
    assert opened.ends_at == NOW + TICK + HOUR


@pytest.mark.parametrize("policy", [POLICY, REVIEWED, BREAK_GLASS])
@pytest.mark.parametrize("revoked", [None, NOW + TICK])
def test_after_a_window_of_the_identity_nobody_opens_one_in_the_cooldown(
    policy: Policy, revoked: datetime | None
) -> None:
    over = replace(BESIDE[0], ended_at=NOW + TICK, end_reason="ttl", revoked_at=revoked)
    facts = Facts(beside=(over, BESIDE[1]), request=approve(request(now=NOW), reviewer(CAROL), NOW))
    refused = decide(None, policy, over.retry_at - TICK, facts)
    assert isinstance(refused, Refused if revoked is None else Barred)
    assert decide(WINDOW, policy, NOW + TICK, facts) == Join(WINDOW)  # an open one is used until its end
    after = decide(None, policy, over.retry_at, replace(facts, beside=(over,), request=None))
    assert isinstance(after, Barred if policy is REVIEWED else Open)


def test_a_person_and_three_agents_have_windows_at_once() -> None:
    assert isinstance(decide(None, POLICY, NOW, Facts(beside=BESIDE[:2])), Open)
    refused = decide(None, POLICY, NOW, Facts(beside=BESIDE))
    assert isinstance(refused, Barred)
    assert refused.error().reference == "too-many-windows"


@pytest.mark.parametrize("oid", ["an-agent", "a-blueprint"])
def test_a_lock_on_an_agent_or_its_blueprint_bars_it_while_it_acts_for_a_person(oid: str) -> None:
    scope = Scope.of_identity(IdentityKey(ALICE.tid, oid))
    lock = Lock(id="l_1", scope=scope, reason="leaked", set_by=ADMIN, set_at=NOW)
    holder = replace(AGENT_FOR_USER, blueprint_id="a-blueprint")
    through_agent = replace(login(), holder=holder, own=frozenset({ALICE, *holder.programs(ALICE.tid)}))
    by_agent = Facts(identity=ALICE, locks=(lock,), login=through_agent)
    assert isinstance(decide(WINDOW, POLICY, NOW, by_agent), Barred)
    by_user = Facts(identity=ALICE, locks=(lock,), login=replace(login(), holder=USER, own=frozenset({ALICE})))
    by_user_opened = replace(WINDOW, holder=USER)
    assert decide(by_user_opened, POLICY, NOW, by_user) == Join(by_user_opened)
    assert scope.covers_window(replace(WINDOW, holder=holder))
    assert not scope.covers_window(replace(WINDOW, holder=USER))


def test_what_was_over_at_a_moment_seen_stays_over_when_the_clock_is_set_back() -> None:
    assert decide(WINDOW, POLICY, NOW + TICK, Facts(seen=NOW + HOUR)) == _refused(NOW + HOUR)


def test_a_window_opened_while_the_clock_is_behind_is_measured_from_that_clock() -> None:
    assert decide(None, POLICY, NOW, Facts(seen=NOW + 5 * HOUR)) == _open(NOW)


def test_a_moment_without_a_zone_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        decide(None, POLICY, datetime(2026, 11, 24))  # noqa: DTZ001 - that is the point


def test_the_refusal_is_the_error_that_a_client_reads() -> None:
    error = _refused(NOW + HOUR).error()
    assert (error.reference, error.ended_at, error.retry_at) == ("cooling-down", NOW + HOUR, NOW + 2 * HOUR)


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [(HOUR, NOW + HOUR), (HOUR / 2, NOW + HOUR / 2), (3 * HOUR, NOW + HOUR)],
)
def test_a_reloaded_policy_shortens_a_window_and_never_lengthens_it(ttl: timedelta, expected: datetime) -> None:
    policy = replace(POLICY, ttl=ttl)
    assert effective_end(WINDOW, policy) == expected
    assert under_policy(WINDOW, policy) == replace(WINDOW, ends_at=expected)


@given(
    steps=st.lists(
        st.tuples(st.integers(-7200, 7200), st.integers(60, 14400), st.booleans()), min_size=1, max_size=30
    )
)
def test_no_order_of_clocks_ttls_and_ends_gives_an_open_window_more_time(
    steps: list[tuple[int, int, bool]],
) -> None:
    latest: Window | None = None
    seen: datetime | None = None
    now = datetime(2026, 1, 1, tzinfo=UTC)
    over: set[str] = set()
    for number, (seconds, ttl, ends) in enumerate(steps):
        now += timedelta(seconds=seconds)
        policy = replace(store_contract_policy(), ttl=timedelta(seconds=ttl), cooldown=timedelta(seconds=ttl))
        decision = decide(latest, policy, now, Facts(seen=seen))
        seen = now if seen is None else max(seen, now)
        match decision:
            case Join(window):
                assert latest is not None
                assert window.id not in over
                assert seen < window.ends_at <= latest.ends_at
            case Refused():
                assert latest is not None
                assert decision.ended_at <= seen < decision.retry_at
                if policy.ttl >= latest.ends_at - latest.opened_at:
                    over.add(latest.id)
            case Open(opened_at=opened_at, ends_at=ends_at, retry_at=retry_at):
                assert ends_at - opened_at == policy.ttl
                if latest is not None:
                    assert seen >= latest.retry_at
                latest = replace(WINDOW, id=f"w_{number}", opened_at=opened_at, ends_at=ends_at, retry_at=retry_at)
        if ends and latest is not None and latest.ended_at is None:
            latest = replace(latest, ended_at=now, end_reason="revoked")
            over.add(latest.id)


TUESDAY = Schedule((parse_entry("Tue 08:00-09:30 UTC"),))
SCHEDULED = replace(POLICY, terms=GrantTerms(schedule=TUESDAY))


def test_the_end_of_the_schedule_ends_a_window_that_would_last_longer() -> None:
    decision = decide(None, SCHEDULED, NOW)
    assert isinstance(decision, Open)
    assert decision.ends_at == datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("seen", [None, NOW])
def test_nothing_opens_outside_the_schedule(seen: datetime | None) -> None:
    decision = decide(None, SCHEDULED, NOW + HOUR if seen is None else NOW, Facts(seen=NOW + HOUR if seen else None))
    assert isinstance(decision, Barred)
    assert decision.error().reference == "outside-schedule"


def test_a_schedule_that_comes_later_ends_a_window_and_never_lengthens_it() -> None:
    assert effective_end(WINDOW, SCHEDULED) == datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    never = replace(POLICY, terms=GrantTerms(schedule=Schedule((parse_entry("Sun 08:00-09:00 UTC"),))))
    assert effective_end(WINDOW, never) == NOW


@pytest.mark.parametrize(("asked", "reference"), [(HOUR * 2, "ttl-too-long"), (timedelta(), "ttl-too-long")])
def test_more_than_the_policys_ttl_is_refused(asked: timedelta, reference: str) -> None:
    decision = decide(None, POLICY, NOW, Facts(ask=LoginAsk(ttl=asked)))
    assert isinstance(decision, Barred)
    assert decision.error().reference == reference


def test_less_than_the_policys_ttl_is_granted() -> None:
    decision = decide(None, POLICY, NOW, Facts(ask=LoginAsk(ttl=HOUR / 2)))
    assert isinstance(decision, Open)
    assert decision.ends_at == NOW + HOUR / 2
