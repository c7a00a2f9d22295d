"""The tables of which message may come when."""

from __future__ import annotations

import pytest

from pgwire.state import ANSWERS, ANYTIME, FRONTEND, Asked, Phase


def test_every_phase_and_every_request_has_its_row() -> None:
    assert set(FRONTEND) == set(Phase)
    assert set(ANSWERS) == set(Asked)


def test_only_a_password_may_come_before_authentication() -> None:
    assert FRONTEND[Phase.PASSWORD] == {ord("p")}
    assert ord("p") not in FRONTEND[Phase.READY]


@pytest.mark.parametrize("asked", Asked)
def test_any_request_may_fail_and_none_may_be_answered_by_a_copy_to_the_server(asked: Asked) -> None:
    assert ord("E") in ANSWERS[asked]
    assert ord("G") not in ANSWERS[asked]
    assert ord("W") not in ANSWERS[asked]
    assert not ANSWERS[asked] & ANYTIME


def test_only_query_and_sync_end_in_ready() -> None:
    assert {Asked.QUERY, Asked.SYNC} == {asked for asked in Asked if ord("Z") in ANSWERS[asked]}
