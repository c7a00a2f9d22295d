"""The tables of which message may come when."""

from __future__ import annotations

import pytest

from pgwire.state import ASYNCHRONOUS, FINAL_RESPONSES, FRONTEND, RESPONSES, RETURNS_ROWS, Phase, RequestKind
from tests.protocol.samples import SAMPLES

_COPIES = {RequestKind.QUERY, RequestKind.EXECUTE}
_READY = {RequestKind.QUERY, RequestKind.FUNCTION_CALL, RequestKind.SYNC}


def test_every_phase_and_every_request_has_its_row() -> None:
    assert set(FRONTEND) == set(Phase)
    assert set(RESPONSES) == set(FINAL_RESPONSES) == set(RequestKind)


def test_only_a_password_may_come_before_authentication() -> None:
    assert FRONTEND[Phase.PASSWORD] == {ord("p")}
    assert ord("p") not in FRONTEND[Phase.READY] | FRONTEND[Phase.COPYING]


def test_while_data_is_copied_nothing_comes_that_would_have_to_be_judged() -> None:
    assert FRONTEND[Phase.COPYING] == frozenset(b"dcfHSX")


@pytest.mark.parametrize("kinds", [*FRONTEND.values(), *RESPONSES.values(), ASYNCHRONOUS])
def test_no_row_names_a_message_that_does_not_exist(kinds: frozenset[int]) -> None:
    assert kinds <= {sample.raw[0] for sample in SAMPLES if sample.typed}


@pytest.mark.parametrize("request_kind", RequestKind)
def test_any_request_may_fail_and_none_may_turn_into_replication(request_kind: RequestKind) -> None:
    assert ord("E") in RESPONSES[request_kind]
    assert ord("W") not in RESPONSES[request_kind]
    assert not RESPONSES[request_kind] & ASYNCHRONOUS


@pytest.mark.parametrize("request_kind", RequestKind)
def test_every_request_has_its_last_answer(request_kind: RequestKind) -> None:
    assert FINAL_RESPONSES[request_kind]
    assert FINAL_RESPONSES[request_kind] <= RESPONSES[request_kind]


def test_only_what_runs_statements_may_copy_or_give_data() -> None:
    assert {request_kind for request_kind in RequestKind if ord("G") in RESPONSES[request_kind]} == _COPIES
    assert {request_kind for request_kind in RequestKind if ord("D") in RESPONSES[request_kind]} == _COPIES
    assert _COPIES == RETURNS_ROWS


def test_only_query_function_call_and_sync_end_in_ready() -> None:
    assert {request_kind for request_kind in RequestKind if ord("Z") in RESPONSES[request_kind]} == _READY
