"""The short way beside the long way: for any conversation both have the same plans, records and state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.event import Outcome
from pgjit.grants.usage import Usage
from pgjit.policy.policy import Limits
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.client_plan import ClientPlan
from pgjit.proxy.relay.in_flight import Run
from pgwire.framing import Frame, FrameReader
from pgwire.messages.extended import Bind, Parse, encode_bind, encode_parse, sync
from pgwire.reader import message
from tests.fakes.both_ends import (
    NANOSECONDS,
    BothEnds,
    answer,
    bind,
    close,
    describe,
    error,
    execute,
    judge_words,
    parse,
    query,
)

READY = answer("Z", b"I")
PARSED, BOUND, DONE = answer("1"), answer("2"), answer("C", b"SELECT 1\0")
TEXTS = (
    "select 1", "select bad", "select 1; select 2", "PREPARE a", "EXECUTE a", "DEALLOCATE ALL", "broken", "",
    "SHOW pgjit.window", "copy t FROM STDIN", "copy-out t", "unread",
)  # fmt: skip
NAMES = (b"", b"a", "\u00e9".encode())
CLIENT = (
    *(query(text) for text in TEXTS),
    *(parse(text, name) for text in TEXTS[:5] for name in NAMES),
    parse("select $1", b"", (23,)),
    *(bind(name, portal, values) for name in NAMES for portal in NAMES[:2] for values in ((), (b"7", None))),
    *(describe(kind, name) for kind in "SP" for name in NAMES[:2]),
    *(execute(portal, limit) for portal in NAMES[:2] for limit in (0, 5)),
    *(close(kind, name) for kind in "SP" for name in NAMES[:2]),
    sync(), message(b"H"), message(b"B", b"\0"), message(b"E", b"\0"), message(b"S", b"x"), message(b"Q", b"no end"),
    encode_parse(Parse(b"", b"select 1", ()))[:-1] + b"\1", encode_bind(Bind(b"", b"a", (1,), (b"7",), (1,))),
)  # fmt: skip
SERVER = (
    PARSED, BOUND, DONE, READY, answer("Z", b"T"), answer("Z", b"E"), answer("n"), answer("s"), answer("I"),
    error("22012", "no"), answer("T", b"\0\0") + answer("D", b"\0\0"),
)  # fmt: skip


@dataclass
class _Both:
    """The same conversation with the short way and without."""

    short: BothEnds
    long: BothEnds
    waiting: list[Frame] = field(default_factory=list)
    over: bool = False

    def client(self, *raws: bytes) -> None:
        self.waiting += FrameReader(lambda _: 100_000).feed(b"".join(raws))
        self.go_on()

    def go_on(self) -> None:
        """As the pump does: what waits for an answer comes again when it is there."""
        while self.waiting and not self.over and not self.long.state.waits:
            plans = [ends.client_side.from_client(self.waiting, NANOSECONDS) for ends in (self.short, self.long)]
            for ends, plan in zip((self.short, self.long), plans, strict=True):
                ends.events += plan.events
            self.same(*plans)
            self.waiting = list(plans[1].rest)
            self.over = plans[1].fault is not None or plans[1].goodbye

    def same(self, short: ClientPlan, long: ClientPlan) -> None:
        assert short.data == long.data
        assert short.rest == long.rest
        assert (short.unjudged, short.goodbye, repr(short.fault)) == (long.unjudged, long.goodbye, repr(long.fault))
        assert [item.executes for item in short.each] == [item.executes for item in long.each]

    def server(self, raw: bytes) -> None:
        steps = [ends.server(raw) for ends in (self.short, self.long)]
        assert b"".join(steps[0].data) == b"".join(steps[1].data)
        assert (steps[0].to_server, repr(steps[0].fault)) == (steps[1].to_server, repr(steps[1].fault))
        self.over = self.over or steps[0].fault is not None
        self.go_on()

    def check(self) -> None:
        assert self.short.events == self.long.events
        assert state_of(self.short) == state_of(self.long)


def run_of(run: Run) -> Sequence[object]:
    return (
        run.number, run.started, run.changes, run.prepared, run.copies_out, run.copies_in, run.rows, run.size,
        run.first_row, run.own, run.received, run.formats, run.capture,
    )  # fmt: skip


def state_of(ends: BothEnds) -> Sequence[object]:
    state, names = ends.state, ends.state.prepared_statements
    return (
        [
            (each.kind, each.segment, each.state, each.size, [*map(run_of, each.runs)], each.changes)
            for each in state.queue.requests
        ],
        state.queue.bytes, state.queue.segment, state.input, state.waits, state.holds, state.transaction_status,
        state.budget.usage, names.size, names.full, [(names.statement(name), names.portal(name)) for name in NAMES],
    )  # fmt: skip


def both(*, unrestricted: bool = False, limits: Limits | None = None) -> _Both:
    ends = [
        BothEnds(
            judge=judge_words,
            unrestricted=unrestricted,
            budget=None if limits is None else Budget(limits, Usage()),
        )
        for _ in range(2)
    ]
    without_short_way(ends[1])
    return _Both(ends[0], ends[1])


def without_short_way(ends: BothEnds) -> None:
    ends.client_side._captures = True  # where results are kept, every message goes the long way


EXCHANGES = [
    [query("select 1")], [query("select bad")], [parse("select 1"), sync()], [parse("select 1", b"a"), sync()],
    *(
        [*parsed, bind(name, b"", (b"7",)), *described, execute(), sync()]
        for parsed in ([], [parse("select 2")]) for name in NAMES[:2] for described in ([], [describe()])
    ),
]  # fmt: skip
ROWS = answer("T", b"\0\0") + answer("D", b"\0\0") + DONE
ANSWERS = [
    *(
        parsed + BOUND + described + DONE + READY
        for parsed in (b"", PARSED) for described in (b"", answer("n"), answer("T", b"\0\0") + answer("D", b"\0\0"))
    ),
    PARSED + READY, ROWS + READY, ROWS + answer("Z", b"T"), ROWS + answer("Z", b"x"),
    BOUND + ROWS + answer("Z", b"T"),
    BOUND + error("22012", "no") + READY, error("22012", "no") + READY, answer("N", b"\0") + ROWS + READY,
    BOUND + ROWS[:8], ROWS[8:] + READY, answer("D", b"\0\0") + ROWS + READY, ROWS + answer("C", b"SELECT 2") + READY,
    answer("D", b"\0\0") + BOUND + ROWS + READY, ROWS + READY + answer("D", b"\0\0"), ROWS + READY + READY,
    answer("D", b"\0\0") + DONE + READY, ROWS + answer("D", b"\0\0") + READY, DONE[:-1] + READY,
]  # fmt: skip
MESSAGES = st.lists(
    st.tuples(
        st.one_of(
            st.lists(st.sampled_from(CLIENT), min_size=1, max_size=6),
            st.sampled_from(EXCHANGES),
            st.sampled_from(SERVER),
            st.sampled_from(ANSWERS),
        ),
        st.booleans(),  # whether all states are compared then: an exchange is unfolded for that
    ),
    max_size=12,
)


@given(MESSAGES, st.booleans(), st.sampled_from([None, Limits(rows=1), Limits(window_statements=3)]))
def test_the_short_way_does_what_the_long_way_does(
    conversation: list[tuple[list[bytes] | bytes, bool]], unrestricted: bool, limits: Limits | None
) -> None:
    pair = both(unrestricted=unrestricted, limits=limits)
    for each, checked in conversation:
        if isinstance(each, list):
            pair.client(*each)
        else:
            pair.server(each)
        if checked:
            pair.check()
    pair.check()


def noted(ends: BothEnds, *raws: bytes) -> list[tuple[str, bool]]:
    """Which messages the short way takes, at once or one by one. The others go the long way."""
    short_way, frames = ends.client_side._short_way, FrameReader(lambda _: 100_000).feed(b"".join(raws))
    short_way.begin()
    if short_way.takes_exchange(ClientPlan(), frames, NANOSECONDS):
        return [("".join(chr(frame.kind) for frame in frames), True)]
    took = []
    for frame in frames:
        took.append((chr(frame.kind), short_way.takes(ClientPlan(), frame, NANOSECONDS)))
        if not took[-1][1]:
            ends.client_side.from_client([frame], NANOSECONDS)
    return took


def test_everyday_messages_take_the_short_way() -> None:
    ends = BothEnds(judge=judge_words)
    took = noted(ends, parse("select 1", b"a"), sync())
    ends.server(PARSED + READY)
    took += noted(ends, bind(b"a", b"", (b"1",)), describe(), execute(), sync())
    ends.server(BOUND + answer("n") + DONE + READY)
    took += noted(ends, bind(b"a", b"", (b"2",)), execute(), sync())
    took += noted(ends, bind(b"a", b"", (b"3",)), describe(), execute(), sync())  # the other one is not answered
    ends.server(BOUND + DONE + READY)
    ends.server(BOUND + answer("n") + DONE + READY)
    took += noted(ends, parse("select 1"), bind(), describe(), execute(), sync())
    ends.server(PARSED + BOUND + answer("n") + DONE + READY)
    took += noted(ends, query("select 1"))
    alone = [("P", False), ("S", True), ("BDES", True), ("BES", True), *((kind, True) for kind in "BDES")]
    assert took == [*alone, ("PBDES", True), ("Q", True)]


def ends_at_once(ends: BothEnds, raw: bytes) -> bool:
    """Whether the answer is read as that to all of the exchange."""
    scanned = ends.server_side.scan(raw)
    ends.events += ends.server_side.read(scanned, NANOSECONDS).events
    return scanned.answer is not None


def test_the_answer_to_an_exchange_is_read_at_once() -> None:
    ends = BothEnds()
    ends.client(query("select 1"))
    assert ends_at_once(ends, ROWS + READY)
    ends.client(parse("select 1"), bind(), describe(), execute(), sync())
    assert ends_at_once(ends, PARSED + BOUND + ROWS + READY)
    assert ends.results == [("completed", 1, None)] * 2
    assert ends.state.queue.empty
    assert ends.state.queue.bytes == 0


def test_an_answer_that_waited_while_the_client_sent_more_is_read_message_by_message() -> None:
    ends = BothEnds()
    ends.client(query("select 1"))
    scanned = ends.server_side.scan(ROWS + READY)
    assert (scanned.rows, scanned.answer is None) == (1, False)
    ends.client(query("select 2"))
    step = ends.server_side.read(scanned, NANOSECONDS)
    assert (step.fault, b"".join(step.data)) == (None, ROWS + READY)
    assert [each.number for each in step.events if isinstance(each, Outcome)] == [1]
    assert len(ends.state.queue.requests) == 1


def test_an_exchange_that_could_not_be_recorded_may_only_fail() -> None:
    ends = BothEnds()
    ends.client(parse("select 1", b"a"), sync())
    ends.server(PARSED + READY)
    plan = ends.client(bind(b"a"), describe(), execute(), sync())
    sent = ends.state.withdraw(plan)
    assert execute() not in sent
    assert ends.token in sent
    step = ends.server(BOUND + ROWS + READY)
    assert step.fault is not None
    assert b"".join(step.data) == BOUND + answer("T", b"\0\0")
