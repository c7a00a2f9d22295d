"""What a directory's answers mean for sessions, and when it is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.identity.directory import Found, Principal, State
from pgjit.identity.identity import GroupId, IdentityKey
from pgjit.identity.membership import Roll, Schedule, Verdict, verdict

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
MINE = GroupId("11111111-1111-4111-8111-111111111111")
OTHERS = GroupId("22222222-2222-4222-8222-222222222222")
ANN = Principal(IdentityKey("t", "ann"), is_user=False)
BOB = Principal(IdentityKey("t", "bob"), is_user=False)


def found(at: datetime = NOW, state: State = State.ENABLED, *, claimed: bool = False) -> Found:
    return Found(at=at, state=state, groups=frozenset({MINE}), claimed=claimed)


@pytest.mark.parametrize(
    ("state", "group", "age", "expected"),
    [
        (State.ENABLED, MINE, timedelta(), Verdict.MEMBER),
        (State.ENABLED, MINE, 5 * MINUTE - SECOND, Verdict.MEMBER),
        (State.ENABLED, MINE, 5 * MINUTE, Verdict.UNKNOWN),
        (State.ENABLED, OTHERS, timedelta(), Verdict.LOST),
        (State.ENABLED, OTHERS, 5 * MINUTE, Verdict.LOST),
        (State.DISABLED, MINE, timedelta(), Verdict.LOST),
        (State.DELETED, MINE, timedelta(), Verdict.LOST),
        (State.ENABLED, None, timedelta(), Verdict.MEMBER),  # an app role: the token has it
        (State.ENABLED, None, 5 * MINUTE, Verdict.UNKNOWN),
        (State.DISABLED, None, timedelta(), Verdict.LOST),
    ],
)
def test_only_a_member_by_an_answer_that_is_young_enough_stays(
    state: State, group: GroupId | None, age: timedelta, expected: Verdict
) -> None:
    assert verdict(found(state=state), group, NOW + age, 5 * MINUTE) is expected


def roll(recheck: timedelta = MINUTE) -> Roll:
    return Roll(Schedule(recheck=recheck, max_stale=5 * MINUTE))


def test_an_identity_is_asked_about_once_however_many_sessions_it_has() -> None:
    watched = roll()
    for _ in range(20):
        watched.enter(ANN, found(), NOW + MINUTE)
    assert watched.due(NOW + MINUTE - SECOND) == []
    assert watched.due(NOW + MINUTE) == [ANN]
    assert watched.due(NOW + MINUTE) == []  # it is being asked about


def test_the_next_question_comes_an_interval_after_the_one_that_was_due() -> None:
    watched = roll()
    watched.enter(ANN, found(), NOW)
    for number in range(100):
        due = NOW + number * MINUTE
        assert watched.due(due - SECOND) == []
        assert watched.due(due) == [ANN]
        watched.answered(ANN, found(due + SECOND))  # noticed a second late each time: no drift


def test_an_answer_that_a_login_got_counts_as_this_rounds() -> None:
    watched = roll()
    watched.enter(ANN, found(), NOW + MINUTE)
    watched.answered(ANN, found(NOW + 30 * SECOND))
    assert watched.due(NOW + 90 * SECOND - SECOND) == []
    assert watched.due(NOW + 90 * SECOND) == [ANN]


def test_without_an_answer_it_is_asked_ever_slower_but_not_slower_than_usual() -> None:
    watched = roll()
    watched.enter(ANN, found(), NOW)
    now = NOW
    asked_at: list[datetime] = []
    while len(asked_at) < 12:
        if watched.due(now):
            asked_at.append(now)
            watched.failed(ANN, now, None)
        now += SECOND
    pauses = [(later - earlier) / SECOND for earlier, later in pairwise(asked_at)]
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60, 53, 60, 60]
    assert asked_at[9] == NOW + 5 * MINUTE - 5 * SECOND  # the last time that an answer could still save a session


def test_a_pause_that_the_directory_asks_for_is_kept() -> None:
    watched = roll()
    watched.enter(ANN, found(), NOW)
    assert watched.due(NOW) == [ANN]
    watched.failed(ANN, NOW, timedelta(seconds=45))
    assert watched.due(NOW + 44 * SECOND) == []
    assert watched.due(NOW + 45 * SECOND) == [ANN]


def test_who_has_no_session_is_not_asked_about_and_in_time_forgotten() -> None:
    watched = roll()
    watched.enter(ANN, found(), NOW)
    watched.enter(BOB, found(), NOW)
    watched.leave(ANN)
    assert watched.due(NOW) == [BOB]
    assert watched.latest(ANN) == found()
    watched.due(NOW + 5 * MINUTE)
    assert watched.latest(ANN) is None
    assert len(watched) == 1


def test_what_a_token_claims_is_no_answer_of_the_directory() -> None:
    watched = roll()
    watched.enter(ANN, found(claimed=True), NOW)
    assert watched.recent(ANN, NOW) is None
    watched.answered(ANN, found(NOW + SECOND))
    assert watched.recent(ANN, NOW + MINUTE) == found(NOW + SECOND)
    assert watched.recent(ANN, NOW + MINUTE + SECOND) is None


def test_an_older_answer_never_takes_the_place_of_a_newer_one() -> None:
    watched = roll()
    watched.enter(ANN, found(NOW), NOW)
    watched.answered(ANN, found(NOW - MINUTE, State.DISABLED))
    assert watched.latest(ANN) == found(NOW)


@given(
    steps=st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["enter", "leave", "answer", "fail"])), max_size=60)
)
def test_there_is_never_more_than_one_question_under_way_nor_two_in_an_interval(
    steps: list[tuple[int, str]],
) -> None:
    watched, now, sessions, asking = roll(), NOW, 0, False
    asked_at: list[datetime] = []
    answered_since = True
    for seconds, step in steps:
        now += timedelta(seconds=seconds)
        if watched.due(now):
            assert not asking
            assert sessions
            if asked_at and answered_since:
                assert now - asked_at[-1] >= MINUTE / 2
            asking, answered_since = True, False
            asked_at.append(now)
        if step == "enter":
            watched.enter(ANN, found(now), now + MINUTE)
            sessions += 1
        elif step == "leave" and sessions:
            watched.leave(ANN)
            sessions -= 1
        elif step == "answer" and asking:
            watched.answered(ANN, found(asked_at[-1]))
            asking, answered_since = False, True
        elif step == "fail" and asking:
            watched.failed(ANN, now, None)
            asking = False
