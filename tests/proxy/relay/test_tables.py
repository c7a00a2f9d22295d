"""The relay against the tables of the protocol: whatever is asked and answered, nothing leaves them.

Goes over the tables' own keys, so that a row that is added is held to the same.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pgjit.proxy.relay.in_flight import InFlight
from pgjit.proxy.relay.transitions import InFlightState, InputEvent
from pgwire.errors import RemoteProtocolError
from pgwire.reader import message
from pgwire.state import ASYNCHRONOUS, FRONTEND, RESPONSES, Phase, RequestKind
from tests.fakes.both_ends import BothEnds, query
from tests.protocol.samples import SAMPLES
from tests.run.rows import table

EVERY_KIND = range(256)
ERROR, ROW, COPY_DATA, COPY_IN = b"EDdG"
# From the server, most letters mean something else than from the client: the later rows are the server's own.
BODIES = {sample.raw[0]: sample.body for sample in SAMPLES if sample.typed} | {
    message_[0]: message_[5:]
    for message_ in (
        message(b"E", b"SERROR\0C42601\0Mno\0\0"),
        message(b"S", b"TimeZone\0UTC\0"),
        message(b"C", b"SELECT 1\0"),
        message(b"D", b"\0\0"),
        message(b"H", b"\0\0\0"),
        message(b"c"),
    )
}


def _sent(kind: int) -> bytes:
    return message(bytes([kind]), BODIES.get(kind, b""))


def _allowed(asked: RequestKind | None, kind: int) -> bool:
    """As the tables have it: an error is an answer to anything, and CopyData flows where rows may."""
    if kind in ASYNCHRONOUS or kind == ERROR:
        return True
    if asked is None or kind == COPY_IN:  # what is asked here never offers data
        return False
    return kind in RESPONSES[asked] or (kind == COPY_DATA and ROW in RESPONSES[asked])


@pytest.mark.parametrize("asked", [None, *RequestKind])
def test_a_request_is_answered_by_what_its_row_names_and_by_nothing_else(asked: RequestKind | None) -> None:
    for kind in EVERY_KIND:
        ends = BothEnds()
        if asked is not None:
            ends.state.queue.append(InFlight(asked), 0)
        step = ends.server(_sent(kind))
        assert (step.fault is None) == _allowed(asked, kind), chr(kind)
        assert step.fault is None or step.data == [], "what is at fault does not go to the client"


@table("kind", set(EVERY_KIND[1:]) - FRONTEND[Phase.READY], ids=chr)
def test_a_client_that_sends_what_no_row_names_ends_and_nothing_of_it_goes_on(kind: int) -> None:
    plan = BothEnds().client(_sent(kind), query("SELECT 1"))
    assert plan.fault is not None
    assert (plan.items, plan.events) == ([], [])


def test_a_client_that_sends_a_type_of_zero_ends_even_where_it_may_send_data() -> None:
    ends = BothEnds()
    ends.client(query("COPY x FROM STDIN"))
    ends.server(_sent(COPY_IN))
    assert ends.state.copy_in.active
    for raws in ([_sent(0)], [_sent(COPY_DATA), _sent(0)]):
        with pytest.raises(RemoteProtocolError):
            ends.client(*raws)


class Sequence(RuleBasedStateMachine):
    """Requests and answers in any order. What is not at fault was in the row of the oldest request."""

    @initialize()
    def begin(self) -> None:
        self.ends = BothEnds()

    @rule(asked=st.sampled_from(RequestKind))
    def ask(self, asked: RequestKind) -> None:
        self.ends.state.queue.append(InFlight(asked), 0)

    @rule()
    def ask_what_is_refused(self) -> None:
        self.ends.state.move_input(InputEvent.SYNC)
        self.ends.client(query("DELETE bad"))

    @rule(kind=st.sampled_from(sorted(BODIES)) | st.integers(0, 255))
    def answer(self, kind: int) -> None:
        self._answer(kind)

    @precondition(lambda self: self.ends.state.queue.requests)
    @rule(data=st.data())
    def answer_from_the_row(self, data: st.DataObject) -> None:
        self._answer(data.draw(st.sampled_from(sorted(RESPONSES[self.ends.state.queue.requests[0].kind]))))

    def _answer(self, kind: int) -> None:
        before = list(self.ends.state.queue.requests)
        head = before[0] if before else None
        hole = head is not None and head.state is InFlightState.REFUSED
        step = self.ends.server(_sent(kind))
        after = list(self.ends.state.queue.requests)
        if step.fault is not None:
            assert step.data == []
            self.begin()  # that session is over
            return
        assert _allowed(head.kind if head else None, kind)
        assert not hole or kind in ASYNCHRONOUS or kind == ERROR, "what was refused was answered as if it had run"
        assert b"".join(step.data) == _sent(kind) or (hole and kind == ERROR)
        gone = len(before) - len(after)
        assert after == before[gone:], "requests are done with in the order in which they were asked"
        if gone > 1:
            assert kind == ERROR, "only an error ends more than one request"
            assert all(one.kind is not RequestKind.SYNC for one in before[:gone]), "and none behind the next Sync"


TestSequence = Sequence.TestCase
