"""The short way of the server's answers: it comes to the same as checking each message, and takes nothing illegal."""

from __future__ import annotations

from typing import NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.event import Event
from pgjit.grants.usage import Usage
from pgjit.policy.policy import Limits
from pgjit.proxy.relay import server_side
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.server_acts import ACTS, ANSWERED, CHECKED, COMPLETED, READY
from pgwire.messages.extended import sync
from pgwire.messages.query import parameter_status
from pgwire.state import FINAL_RESPONSES, RESPONSES, RequestKind
from tests.fakes.both_ends import BothEnds, answer, bind, close, describe, error, execute, parse, query

ALL_CHECKED = {request: bytes(256) for request in RequestKind}


@pytest.mark.parametrize("request_kind", RequestKind)
def test_the_short_way_takes_only_what_the_server_may_answer(request_kind: RequestKind) -> None:
    acts = ACTS[request_kind]
    assert acts[0x45] == acts[0x4E] == acts[0x53] == CHECKED  # errors, notices, settings
    for kind in range(1, 256):
        if acts[kind] != CHECKED:
            assert kind in RESPONSES[request_kind]
            final = kind in FINAL_RESPONSES[request_kind]
            assert final == (
                acts[kind] in (ANSWERED, READY) or (acts[kind] == COMPLETED and request_kind.name == "EXECUTE")
            )


# --- a model: every message is checked ---

REQUESTS = (
    query("SELECT 1"), query("SELECT 1; SELECT 2"), query("DELETE bad"), query("COPY x FROM STDIN"), query(""),
    query("unread"), parse("SELECT 1", b"p") + bind(b"p") + describe() + execute() + sync(),
    parse("SELECT 1"), bind(), describe("S"), describe("P"), execute(), execute(limit=1), close(), sync(),
)  # fmt: skip
ROW, DONE, ANY_READY = answer("D", b"\0\x01\0\0\0\x017"), answer("C", b"SELECT 1\0"), answer("Z", b"I")
LIKELY = (
    answer("T", b"\0\0") + ROW * 3 + DONE + ANY_READY, ROW + DONE, DONE,
    ANY_READY, answer("Z", b"T"), answer("Z", b"E"),
    answer("1"), answer("2"), answer("3"), answer("n"), answer("t", b"\0\0"), answer("T", b"\0\0"), answer("I"),
    answer("1") + answer("2") + answer("T", b"\0\0") + ROW + DONE + ANY_READY, answer("s"), ROW, ROW * 2,
    answer("2") + answer("n") + answer("C", b"UPDATE 3\0") + ANY_READY, answer("H", b"\0\0\0"), answer("c"),
    answer("d", b"1\n") * 3, answer("G", b"\0\0\0"), answer("V"), answer("N", b"Mhi\0\0"), error("22012", "no"),
    error("57014", "cancelled"), error("42601", 'at "pgjit_deny_0001"'), parameter_status("a", "b"),
    answer("A", b"\0\0\0\1c\0\0"),
)  # fmt: skip
rare = st.builds(lambda kind, body: answer(chr(kind), body), st.integers(0, 127), st.binary(max_size=6))
asked, answered = (
    st.tuples(st.just(who), st.sampled_from(said)) for who, said in ((True, REQUESTS), (False, LIKELY))
)
turns = st.lists(st.one_of(asked, answered), min_size=2, max_size=14)
limits = st.sampled_from([Limits(), Limits(rows=2), Limits(bytes=40), Limits(window_rows=4), Limits(rows=100)])


class Seen(NamedTuple):
    """All that comes of a conversation."""

    to_client: bytes
    to_server: bytes
    events: list[Event]
    faults: list[tuple[str, str | None]]
    stands: tuple[object, ...]


def held(turns: list[tuple[bool, bytes]], tail: bytes, cuts: list[int], most: Limits) -> Seen:
    """Hold the conversation; what the server sends comes in pieces that `cuts` cut."""
    usage = Usage()
    ends = BothEnds(budget=Budget(most, usage))
    to_client, to_server, faults, cancels = b"", b"", list[tuple[str, str | None]](), 0
    for from_client, data in [*turns, (False, tail)]:
        if from_client:
            to_server += ends.client(data).data
            continue
        at = sorted({cut % (len(data) + 1) for cut in cuts})
        for piece in [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]:
            step = ends.server(piece)
            to_client += b"".join(step.data)
            to_server += step.to_server
            cancels += step.cancel
            if step.fault is not None:
                faults.append((step.reason, step.fault.detail))
    state = ends.state
    heads = [(request.kind, request.state, request.at) for request in state.queue.requests]
    recorder, names = state.recorder, state.prepared_statements
    stands = (
        heads, state.stream, state.input, state.transaction_status, state.finished_at, usage.rows, usage.bytes,
        cancels, recorder.rows, recorder.bytes, names.size, ends.server_side.inside_message,
    )  # fmt: skip
    return Seen(to_client, to_server, ends.events, faults, stands)


@given(turns, st.one_of(st.just(b""), rare, st.binary(max_size=9)), st.lists(st.integers(0, 200), max_size=4), limits)
def test_the_short_way_comes_to_the_same_as_checking_each_message(
    turns: list[tuple[bool, bytes]], tail: bytes, cuts: list[int], most: Limits
) -> None:
    short = held(turns, tail, cuts, most)
    with patch.object(server_side, "ACTS", ALL_CHECKED):
        assert short == held(turns, tail, cuts, most)
        assert short.events == held(turns, tail, [], most).events
