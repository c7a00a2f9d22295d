"""`access: full`: everything is on record before it runs, and nothing is refused but what the protocol refuses."""

from __future__ import annotations

import dataclasses

import pytest

from pgjit.audit.event import Event, Execution
from pgjit.grants.usage import Usage
from pgjit.judging.judge import Judge, Judgement
from pgjit.policy.policy import Limits, Preset
from pgjit.proxy.relay.budget import Budget
from pgwire.messages.extended import sync
from pgwire.messages.function_call import FunctionCall, encode_function_call
from pgwire.messages.query import command_complete, ready_for_query
from tests.fakes.both_ends import BothEnds, answer, bind, error, execute, parse, query
from tests.fakes.policies import policy

READY = ready_for_query(b"I")
CALL = encode_function_call(FunctionCall(957, (1,), (b"\0\0\0\7", None), 1))
UNKNOWN = "prepared statement `é` is not known here"
FULL = dataclasses.replace(policy(), statements=dataclasses.replace(policy().statements, access=Preset.FULL))


def test_a_function_call_is_recorded_with_its_arguments_and_forwarded() -> None:
    ends = BothEnds(unrestricted=True)
    assert ends.client(CALL).data == CALL
    assert ends.executions == [("-- function call by number, 957", "allow")]
    step = ends.server(answer("V", b"\0\0\0\0") + READY)
    assert step.fault is None
    assert ends.outcomes == [("-- function call by number, 957", "completed")]
    assert ends.state.idle


def test_a_function_call_that_fails_is_told_apart() -> None:
    ends = BothEnds(unrestricted=True)
    ends.client(CALL, query("SELECT 1"))
    ends.server(error("42883", "no such function"), READY, command_complete("SELECT 1"), READY)
    assert [ended for _, ended in ends.outcomes] == ["failed", "completed"]


def test_a_large_result_of_a_function_call_flows() -> None:
    ends = BothEnds(unrestricted=True)
    ends.client(CALL)
    large = answer("V", b"x" * 50_000)
    first, second = ends.server(large[:100]), ends.server(large[100:] + READY)
    assert b"".join(first.data + second.data) == large + READY
    assert ends.state.idle


def test_a_function_call_whose_result_could_not_be_cut_does_not_reach_the_server() -> None:
    plan = BothEnds(unrestricted=True, budget=Budget(Limits(bytes=100), Usage())).client(CALL)
    assert CALL not in plan.data
    assert b"pgjit_deny_" in plan.data


@pytest.mark.parametrize("sent", [CALL, query("bad"), parse("bad"), bind(b"unknown"), execute(b"unknown")])
def test_without_it_none_of_these_reaches_the_server(sent: bytes) -> None:
    plan = BothEnds().client(sent)
    assert sent not in plan.data
    assert b"pgjit_deny_" in plan.data


def test_names_that_only_the_server_knows_are_forwarded_under_a_record_that_says_so() -> None:
    ends = BothEnds(unrestricted=True)
    frames = (bind(b"elsewhere", b"p"), execute(b"p"), execute(b"q"), query("EXECUTE elsewhere"), query("FETCH c"))
    for sent in (frames[:2], frames[2:3]):
        assert ends.client(*sent).data.startswith(b"".join(sent))
        answered = answer("2") if len(sent) > 1 else b""
        assert ends.server(answered, command_complete("SELECT 1")).fault is None
        ends.client(sync())
        assert ends.server(READY).fault is None
    for asked in frames[3:]:  # one by one: what nobody knows may ask for data
        assert ends.client(asked).data == asked
        assert ends.server(command_complete("SELECT 1"), READY).fault is None
    assert [statement for statement, _ in ends.executions] == [
        "-- prepared statement 'elsewhere'",
        "-- portal 'q'",
        "EXECUTE elsewhere",
        "FETCH c",
    ]


def test_the_unnamed_portal_that_nobody_bound_is_not_executed() -> None:
    ends = BothEnds(unrestricted=True)
    assert execute() not in ends.client(execute()).data
    assert ends.executions[-1] == ("-- portal ''", "deny")


@pytest.mark.parametrize(
    ("sql", "kinds", "unread"),
    [
        (b"DROP TABLE t; SELECT s.f()", ["drop-table", "select"], False),
        (b"SELECT some thing", [], True),
        (b"SELECT '\xff'", [], True),
        (b"", [], False),
    ],
)
def test_what_is_not_parsed_is_forwarded_all_the_same(sql: bytes, kinds: list[str], unread: bool) -> None:
    judgement = Judge(FULL, limit=1000)(sql)
    assert judgement.allowed
    assert [statement.kind for statement in judgement.statements] == kinds
    assert judgement.unread is unread


def test_text_over_the_limit_of_what_is_judged_is_not_parsed_and_runs() -> None:
    judgement: Judgement = Judge(FULL, limit=10)(b"SELECT 'long enough'")
    assert (judgement.allowed, judgement.unread, judgement.text) == (True, True, "SELECT 'long enough'")


def test_an_unread_message_has_one_record_with_all_of_its_text() -> None:
    ends = BothEnds(unrestricted=True)
    ends.client(query("unread one; unread two"))
    ends.server(command_complete("DO"), command_complete("DO"), READY)
    assert ends.outcomes == [("unread one; unread two", "completed")]
    assert ends.state.idle


@pytest.mark.parametrize(
    "sql",
    [
        "SET client_encoding = 'LATIN1'",
        "SET NAMES 'SJIS'",
        "SET standard_conforming_strings TO off",
        "SELECT set_config('client_encoding', $1, false)",
        "SELECT set_config('client_' || 'encoding', 'x', false)",
    ],
)
def test_behind_a_setting_by_which_texts_mean_something_else_they_are_not_read(sql: str) -> None:
    relay = _full()
    relay.client(parse("SELECT 1", "é".encode()), parse("SELECT 2", b"x"), query(sql))
    plan = relay.client(query("SELECT '\\'; EXECUTE x; --'"))
    assert [_told(event) for event in plan.events] == [("SELECT '\\'; EXECUTE x; --'", None, None)]
    plan = _full_after(sql).client(bind("é".encode()), execute())
    assert [_told(event) for event in plan.events] == [("-- prepared statement 'é'", None, UNKNOWN)]


@pytest.mark.parametrize("sql", ["SET client_encoding = 'UTF8'", "RESET ALL", "SET standard_conforming_strings = on"])
def test_a_setting_to_what_it_is_changes_nothing(sql: str) -> None:
    plan = _full_after(sql).client(bind("é".encode()), execute())
    assert [_told(event) for event in plan.events] == [("SELECT 1", "select", None)]


def test_a_setting_that_the_server_reports_counts_as_well() -> None:
    ends = _full_after("SELECT 1")
    ends.server(answer("S", b"client_encoding\0LATIN1\0"))
    plan = ends.client(bind("é".encode()), execute())
    assert [_told(event) for event in plan.events] == [("-- prepared statement 'é'", None, UNKNOWN)]


def _full() -> BothEnds:
    return BothEnds(judge=Judge(FULL, limit=1000), unrestricted=True)


def _full_after(sql: str) -> BothEnds:
    """In one segment: what is sent next need not wait."""
    ends = _full()
    ends.client(parse("SELECT 1", "é".encode()), parse(sql, b"s"), bind(b"s"), execute())
    return ends


def _told(event: Event) -> tuple[str, str | None, str | None]:
    assert isinstance(event, Execution)
    return event.statement, event.kind, event.unresolved
