"""The tables of states are whole: every state has its row, and can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import pytest

from pgjit.proxy.relay.in_flight import InFlight
from pgjit.proxy.relay.transitions import (
    COPY,
    END,
    INPUT,
    REQUEST,
    STREAM,
    CopyState,
    EndState,
    InFlightState,
    InputState,
    RequestEvent,
    StreamState,
)
from pgwire.state import FRONTEND, Phase, RequestKind

TABLES: list[tuple[type[Enum], Mapping[Any, Mapping[Any, Any]], Enum]] = [
    (InFlightState, REQUEST, InFlightState.SENT),
    (InputState, INPUT, InputState.FORWARDED),
    (StreamState, STREAM, StreamState.FOLLOWING),
    (EndState, END, EndState.OPEN),
]


@pytest.mark.parametrize(("states", "table", "first"), TABLES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_state_has_a_row_and_can_be_reached(
    states: type[Enum], table: Mapping[Any, Mapping[Any, Any]], first: Enum
) -> None:
    assert set(table) == set(states)
    reached, new = set[Enum](), {first}
    while new:
        reached |= new
        new = {following for state in new for following in table[state].values()} - reached
    assert reached == set(states)


def test_during_copy_the_client_sends_what_the_protocol_allows() -> None:
    assert set(COPY) == set(CopyState)
    assert set(COPY[CopyState.BEGUN]) == set(COPY[CopyState.IN_DATA]) == FRONTEND[Phase.COPYING]


def test_a_refused_request_can_only_fail() -> None:
    row = REQUEST[InFlightState.REFUSED]
    assert {event for event, state in row.items() if state is not InFlightState.REFUSED} == {
        RequestEvent.ERROR,
        RequestEvent.PASSED_OVER,
    }


def test_what_no_row_names_is_an_error() -> None:
    request = InFlight(RequestKind.QUERY)
    request.move(RequestEvent.LAST_ANSWER)
    with pytest.raises(KeyError):
        request.move(RequestEvent.ERROR)
