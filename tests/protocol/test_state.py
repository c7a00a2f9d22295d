"""The tables of which message may come when."""

from __future__ import annotations

import pytest

from pgwire.state import ANSWERS, ANYTIME, DATA, FINAL, FRONTEND, Asked, Phase
from tests.protocol.samples import SAMPLES

_COPIES = {Asked.QUERY, Asked.EXECUTE}
_READY = {Asked.QUERY, Asked.FUNCTION_CALL, Asked.SYNC}


def test_every_phase_and_every_request_has_its_row() -> None:
    assert set(FRONTEND) == set(Phase)
    assert set(ANSWERS) == set(FINAL) == set(Asked)


def test_only_a_password_may_come_before_authentication() -> None:
    assert FRONTEND[Phase.PASSWORD] == {ord("p")}
    assert ord("p") not in FRONTEND[Phase.READY] | FRONTEND[Phase.COPYING]


def test_while_data_is_copied_nothing_comes_that_would_have_to_be_judged() -> None:
    assert FRONTEND[Phase.COPYING] == frozenset(b"dcfHSX")


@pytest.mark.parametrize("kinds", [*FRONTEND.values(), *ANSWERS.values(), ANYTIME])
def test_no_row_names_a_message_that_does_not_exist(kinds: frozenset[int]) -> None:
    assert kinds <= {sample.raw[0] for sample in SAMPLES if sample.typed}


@pytest.mark.parametrize("asked", Asked)
def test_any_request_may_fail_and_none_may_turn_into_replication(asked: Asked) -> None:
    assert ord("E") in ANSWERS[asked]
    assert ord("W") not in ANSWERS[asked]
    assert not ANSWERS[asked] & ANYTIME


@pytest.mark.parametrize("asked", Asked)
def test_every_request_has_its_last_answer(asked: Asked) -> None:
    assert FINAL[asked]
    assert FINAL[asked] <= ANSWERS[asked]


def test_only_what_runs_statements_may_copy_or_give_data() -> None:
    assert {asked for asked in Asked if ord("G") in ANSWERS[asked]} == _COPIES
    assert {asked for asked in Asked if ord("D") in ANSWERS[asked]} == _COPIES
    assert _COPIES == DATA


def test_only_query_function_call_and_sync_end_in_ready() -> None:
    assert {asked for asked in Asked if ord("Z") in ANSWERS[asked]} == _READY
