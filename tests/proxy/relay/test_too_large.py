"""A message over the limit is refused in its place, under every policy, and nothing of it is kept or sent."""

from __future__ import annotations

import pytest

from pgjit.audit.event import Execution
from pgwire.messages.extended import sync
from pgwire.messages.function_call import FunctionCall, encode_function_call
from pgwire.messages.query import command_complete, ready_for_query
from tests.fakes.both_ends import BothEnds, answer, bind, describe, execute, parse, query

READY = ready_for_query(b"I")
LARGE = "x" * 150_000
MESSAGES = {
    "query": query(f"SELECT '{LARGE}'"),
    "parse": parse(f"SELECT '{LARGE}'", b"name"),
    "parse with a name without end": parse("SELECT 1", LARGE.encode()),
    "bind": bind(values=(LARGE.encode(),)),
    "function call": encode_function_call(FunctionCall(1, (), (LARGE.encode(),), 0)),
}


@pytest.mark.parametrize("unrestricted", [False, True])
@pytest.mark.parametrize("name", MESSAGES)
def test_it_is_refused_in_its_place_and_the_session_lives_on(name: str, unrestricted: bool) -> None:
    ends = BothEnds(unrestricted=unrestricted)
    raw = MESSAGES[name]
    plan = ends.client(raw[:1500], raw[1500:], sync())
    assert plan.fault is None
    assert len(plan.data) < 2_000
    assert [one.violations[0].sqlstate for one in ends.events if isinstance(one, Execution)] == ["54000"]
    step = ends.server(ends.refused_by_server(), *([READY] if raw[0] in b"QF" else []), READY)
    assert step.fault is None
    assert b"C54000" in b"".join(step.data)
    assert [ended for _, ended in ends.outcomes] == ["refused"]
    ends.client(query("SELECT 1"))
    assert ends.server(command_complete("SELECT 1"), READY).fault is None
    assert ends.state.idle


def test_a_parse_leaves_no_name_behind() -> None:
    ends = BothEnds()
    plan = ends.client(MESSAGES["parse"], sync())
    assert b"name\0pgjit_deny_" in plan.data
    ends.server(ends.refused_by_server(), READY)
    plan = ends.client(bind(b"name"), execute(), sync())
    assert bind(b"name") not in plan.data


def test_a_query_drops_the_unnamed_statement_as_any_query_does() -> None:
    ends = BothEnds()
    ends.client(parse("SELECT 1"), sync())
    ends.server(answer("1"), READY)
    ends.client(MESSAGES["query"])
    ends.server(ends.refused_by_server(), READY)
    plan = ends.client(bind(), sync())
    assert bind() not in plan.data


@pytest.mark.parametrize("raw", [describe("S", LARGE.encode()), execute(LARGE.encode())])
def test_messages_that_carry_no_data_have_their_own_limit(raw: bytes) -> None:
    from pgwire.errors import RemoteProtocolError
    from pgwire.framing import FrameReader

    with pytest.raises(RemoteProtocolError):
        FrameReader(lambda kind: 100_000 if kind in b"QPBF" else 10_000, cut=b"QPBF").feed(raw)
