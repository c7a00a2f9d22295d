"""What a directory's answers mean for sessions, and when it is asked again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.identity.directory import DirectoryAnswer, Principal, PrincipalState
from pgjit.identity.identity import GroupId, IdentityKey
from pgjit.identity.membership_rechecks import (
    DirectoryAnswerCache,
    MembershipRechecks,
    MembershipStatus,
    RecheckSchedule,
    TokenTrust,
    membership_status,
)

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
MINE = GroupId("11111111-1111-4111-8111-111111111111")
OTHERS = GroupId("22222222-2222-4222-8222-222222222222")
ANN = Principal(IdentityKey("t", "ann"), is_user=False)
BOB = Principal(IdentityKey("t", "bob"), is_user=False)


def found(
    at: datetime = NOW, state: PrincipalState = PrincipalState.ENABLED, *, claimed: bool = False
) -> DirectoryAnswer:
    return DirectoryAnswer(at=at, state=state, groups=frozenset({MINE}), claimed=claimed)


@pytest.mark.parametrize(
    ("state", "group", "age", "expected"),
    [
        (PrincipalState.ENABLED, MINE, timedelta(), MembershipStatus.MEMBER),
        (PrincipalState.ENABLED, MINE, 5 * MINUTE - SECOND, MembershipStatus.MEMBER),
        (PrincipalState.ENABLED, MINE, 5 * MINUTE, MembershipStatus.UNKNOWN),
        (PrincipalState.ENABLED, OTHERS, timedelta(), MembershipStatus.LOST),
        (PrincipalState.ENABLED, OTHERS, 5 * MINUTE, MembershipStatus.LOST),
        (PrincipalState.DISABLED, MINE, timedelta(), MembershipStatus.LOST),
        (PrincipalState.DELETED, MINE, timedelta(), MembershipStatus.LOST),
        (PrincipalState.ENABLED, None, timedelta(), MembershipStatus.MEMBER),  # an app role: the token has it
        (PrincipalState.ENABLED, None, 5 * MINUTE, MembershipStatus.UNKNOWN),
        (PrincipalState.DISABLED, None, timedelta(), MembershipStatus.LOST),
    ],
)
def test_only_a_member_by_an_answer_that_is_young_enough_stays(
    state: PrincipalState, group: GroupId | None, age: timedelta, expected: MembershipStatus
) -> None:
    assert membership_status(found(state=state), group, NOW + age, 5 * MINUTE) is expected


def roll(recheck: timedelta = MINUTE) -> MembershipRechecks:
    return MembershipRechecks(RecheckSchedule(recheck=recheck, max_stale=5 * MINUTE))


def test_an_identity_is_asked_about_once_however_many_sessions_it_has() -> None:
    watched = roll()
    for _ in range(20):
        watched.open_session(ANN, found(), NOW + MINUTE)
    assert watched.due(NOW + MINUTE - SECOND) == []
    assert watched.due(NOW + MINUTE) == [ANN]
    assert watched.due(NOW + MINUTE) == []  # it is being asked about


def test_the_next_question_comes_an_interval_after_the_one_that_was_due() -> None:
    watched = roll()
    watched.open_session(ANN, found(), NOW)
    for number in range(100):
        due = NOW + number * MINUTE
        assert watched.due(due - SECOND) == []
        assert watched.due(due) == [ANN]
        watched.record_answer(ANN, found(due + SECOND))  # noticed a second late each time: no drift


def test_an_answer_that_a_login_got_counts_as_this_rounds() -> None:
    watched = roll()
    watched.open_session(ANN, found(), NOW + MINUTE)
    watched.record_answer(ANN, found(NOW + 30 * SECOND))
    assert watched.due(NOW + 90 * SECOND - SECOND) == []
    assert watched.due(NOW + 90 * SECOND) == [ANN]


def test_without_an_answer_it_is_asked_ever_slower_but_not_slower_than_usual() -> None:
    watched = roll()
    watched.open_session(ANN, found(), NOW)
    now = NOW
    asked_at: list[datetime] = []
    while len(asked_at) < 12:
        if watched.due(now):
            asked_at.append(now)
            watched.record_failure(ANN, now, None)
        now += SECOND
    pauses = [(later - earlier) / SECOND for earlier, later in pairwise(asked_at)]
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60, 53, 60, 60]
    assert asked_at[9] == NOW + 5 * MINUTE - 5 * SECOND  # the last time that an answer could still save a session


def test_a_pause_that_the_directory_asks_for_is_kept() -> None:
    watched = roll()
    watched.open_session(ANN, found(), NOW)
    assert watched.due(NOW) == [ANN]
    watched.record_failure(ANN, NOW, timedelta(seconds=45))
    assert watched.due(NOW + 44 * SECOND) == []
    assert watched.due(NOW + 45 * SECOND) == [ANN]


def test_who_has_no_session_is_not_asked_about_and_in_time_forgotten() -> None:
    watched = roll()
    watched.open_session(ANN, found(), NOW)
    watched.open_session(BOB, found(), NOW)
    watched.close_session(ANN)
    assert watched.due(NOW) == [BOB]
    assert watched.latest(ANN) == found()
    watched.due(NOW + 5 * MINUTE)
    assert watched.latest(ANN) is None
    assert len(watched) == 1


def test_whom_a_token_alone_has_spoken_of_is_asked_about_even_if_the_session_is_over() -> None:
    watched = roll()
    watched.open_session(ANN, found(claimed=True), NOW + SECOND)
    watched.close_session(ANN)
    assert watched.due(NOW) == []
    assert watched.due(NOW + SECOND) == [ANN]
    assert watched.due(NOW + 2 * SECOND) == []
    watched.record_failure(ANN, NOW + SECOND, None)
    assert watched.due(NOW + 3 * SECOND) == [ANN]
    watched.record_answer(ANN, found(NOW + 3 * SECOND))
    assert watched.due(NOW + 4 * MINUTE) == []
    watched.due(NOW + 6 * MINUTE)
    assert len(watched) == 0


def test_who_is_never_confirmed_and_has_no_session_is_forgotten() -> None:
    watched = roll()
    watched.open_session(ANN, found(claimed=True), NOW)
    watched.close_session(ANN)
    assert watched.due(NOW) == [ANN]
    watched.record_failure(ANN, NOW, None)
    assert watched.due(NOW + 5 * MINUTE) == []
    assert len(watched) == 0


def test_an_older_answer_never_takes_the_place_of_a_newer_one() -> None:
    watched = roll()
    watched.open_session(ANN, found(NOW), NOW)
    watched.record_answer(ANN, found(NOW - MINUTE, PrincipalState.DISABLED))
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
            watched.open_session(ANN, found(now), now + MINUTE)
            sessions += 1
        elif step == "leave" and sessions:
            watched.close_session(ANN)
            sessions -= 1
        elif step == "answer" and asking:
            watched.record_answer(ANN, found(asked_at[-1]))
            asking, answered_since = False, True
        elif step == "fail" and asking:
            watched.record_failure(ANN, now, None)
            asking = False


# --- what a token's own word is worth -------------------------------------------------------------------------

DAY = timedelta(hours=24)
NO = DirectoryAnswer(at=NOW, state=PrincipalState.ENABLED, groups=frozenset())


def says_mine(found: DirectoryAnswer) -> bool:
    return found.state is PrincipalState.ENABLED and MINE in found.groups


def answers(since: datetime = NOW - DAY, most: int = 10) -> DirectoryAnswerCache:
    return DirectoryAnswerCache(
        RecheckSchedule(recheck=MINUTE, max_stale=5 * MINUTE, token_age=DAY), since, most=most
    )


@pytest.mark.parametrize(
    ("found", "issued", "asked", "expected"),
    [
        (None, timedelta(), timedelta(), TokenTrust.TRUSTED),
        (None, -DAY, timedelta(), TokenTrust.UNCONFIRMED),
        (None, -DAY + MINUTE, timedelta(), TokenTrust.UNCONFIRMED),  # clocks differ by as much
        (None, -DAY + MINUTE + SECOND, timedelta(), TokenTrust.TRUSTED),
        (found(), -DAY, timedelta(), TokenTrust.TRUSTED),
        (found(), -DAY, DAY, TokenTrust.TRUSTED),
        (found(state=PrincipalState.DISABLED), -SECOND, timedelta(), TokenTrust.CONTRADICTED),
        (NO, -SECOND, timedelta(), TokenTrust.CONTRADICTED),
        (NO, -SECOND, DAY - SECOND, TokenTrust.CONTRADICTED),
        (NO, MINUTE, DAY - SECOND, TokenTrust.CONTRADICTED),
        (NO, MINUTE + SECOND, 5 * MINUTE - SECOND, TokenTrust.CONTRADICTED),
        (NO, MINUTE + SECOND, 5 * MINUTE, TokenTrust.TRUSTED),
    ],
)
def test_a_tokens_word_is_weighed_against_what_the_directory_has_said(
    found: DirectoryAnswer | None, issued: timedelta, asked: timedelta, expected: TokenTrust
) -> None:
    known = answers()
    if found is not None:
        known.record(ANN, found)
    assert known.trust_in_token(ANN, NOW + issued, NOW + asked, says_mine) is expected


def test_an_answer_that_is_older_than_the_latest_changes_nothing() -> None:
    known = answers()
    known.record(ANN, NO)
    known.record(ANN, found(NOW - SECOND))
    assert known.latest(ANN) == NO


def test_what_had_to_be_forgotten_is_doubted_and_what_no_token_outlives_is_not() -> None:
    known = answers(most=2)
    for number in range(3):
        known.record(Principal(IdentityKey("t", str(number)), is_user=False), replace(NO, at=NOW + number * SECOND))
    first = Principal(IdentityKey("t", "0"), is_user=False)
    assert len(known) == 2
    assert known.trust_in_token(first, NOW - SECOND, NOW, says_mine) is TokenTrust.UNCONFIRMED
    assert known.trust_in_token(first, NOW + 2 * MINUTE, NOW + 2 * MINUTE, says_mine) is TokenTrust.TRUSTED
    known.record(ANN, replace(NO, at=NOW + DAY + 2 * MINUTE))
    assert len(known) == 1
    assert known.trust_in_token(first, NOW + 2 * MINUTE, NOW + 2 * MINUTE, says_mine) is TokenTrust.TRUSTED


@given(
    noes=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3 * 3600)), min_size=1, max_size=30),
    issued=st.integers(0, 24 * 3600),
    most=st.integers(1, 4),
)
def test_a_token_from_before_a_no_is_never_good_however_much_is_forgotten(
    noes: list[tuple[int, int]], issued: int, most: int
) -> None:
    known, now = answers(most=most), NOW
    said_no: dict[Principal, datetime] = {}
    for who, pause in noes:
        now += pause * SECOND
        principal = Principal(IdentityKey("t", str(who)), is_user=False)
        known.record(principal, replace(NO, at=now))
        said_no[principal] = now
    assert len(known) <= most
    for principal, at in said_no.items():
        issued_at = now - issued * SECOND
        if issued_at <= at:
            assert known.trust_in_token(principal, issued_at, now, says_mine) is not TokenTrust.TRUSTED
