"""`access: full`: everything is on record before it runs, and nothing is refused but what the protocol refuses."""

from __future__ import annotations

import dataclasses

import pytest

from pgjit.audit.event import Event, Execution
from pgjit.grants.usage import Usage
from pgjit.judging.judge import Judge, Judgement
from pgjit.policy.policy import Limits, Preset
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.client_side import ClientSide
from pgjit.proxy.relay.server_side import ServerSide
from pgwire.framing import Frame, FrameReader
from pgwire.messages.extended import sync
from pgwire.messages.function_call import FunctionCall, encode_function_call
from pgwire.messages.query import command_complete, ready_for_query
from tests.fakes.policies import policy
from tests.fakes.talk import CONTEXT, NOW, Talk, answer, bind, error, execute, parse, query

READY = ready_for_query(b"I")
CALL = encode_function_call(FunctionCall(957, (1,), (b"\0\0\0\7", None), 1))
UNKNOWN = "prepared statement `é` is not known here"
FULL = dataclasses.replace(policy(), statements=dataclasses.replace(policy().statements, access=Preset.FULL))


def test_a_function_call_is_recorded_with_its_arguments_and_forwarded() -> None:
    talk = Talk(unrestricted=True)
    assert talk.client(CALL).data == CALL
    assert talk.executions == [("-- function call by number, 957", "allow")]
    step = talk.server(answer("V", b"\0\0\0\0") + READY)
    assert step.fault is None
    assert talk.outcomes == [("-- function call by number, 957", "completed")]
    assert talk.relay.idle


def test_a_function_call_that_fails_is_told_apart() -> None:
    talk = Talk(unrestricted=True)
    talk.client(CALL, query("SELECT 1"))
    talk.server(error("42883", "no such function"), READY, command_complete("SELECT 1"), READY)
    assert [ended for _, ended in talk.outcomes] == ["failed", "completed"]


def test_a_large_result_of_a_function_call_flows() -> None:
    talk = Talk(unrestricted=True)
    talk.client(CALL)
    large = answer("V", b"x" * 50_000)
    first, second = talk.server(large[:100]), talk.server(large[100:] + READY)
    assert b"".join(first.data + second.data) == large + READY
    assert talk.relay.idle


def test_a_function_call_whose_result_could_not_be_cut_does_not_reach_the_server() -> None:
    plan = Talk(unrestricted=True, budget=Budget(Limits(bytes=100), Usage())).client(CALL)
    assert CALL not in plan.data
    assert b"pgjit_deny_" in plan.data


@pytest.mark.parametrize("sent", [CALL, query("bad"), parse("bad"), bind(b"unknown"), execute(b"unknown")])
def test_without_it_none_of_these_reaches_the_server(sent: bytes) -> None:
    plan = Talk().client(sent)
    assert sent not in plan.data
    assert b"pgjit_deny_" in plan.data


def test_names_that_only_the_server_knows_are_forwarded_under_a_record_that_says_so() -> None:
    talk = Talk(unrestricted=True)
    frames = (bind(b"elsewhere", b"p"), execute(b"p"), execute(b"q"), query("EXECUTE elsewhere"), query("FETCH c"))
    for sent in (frames[:2], frames[2:3]):
        assert talk.client(*sent).data.startswith(b"".join(sent))
        answered = answer("2") if len(sent) > 1 else b""
        assert talk.server(answered, command_complete("SELECT 1")).fault is None
        talk.client(sync())
        assert talk.server(READY).fault is None
    for asked in frames[3:]:  # one by one: what nobody knows may ask for data
        assert talk.client(asked).data == asked
        assert talk.server(command_complete("SELECT 1"), READY).fault is None
    assert [statement for statement, _ in talk.executions] == [
        "-- prepared statement 'elsewhere'",
        "-- portal 'q'",
        "EXECUTE elsewhere",
        "FETCH c",
    ]


def test_the_unnamed_portal_that_nobody_bound_is_not_executed() -> None:
    talk = Talk(unrestricted=True)
    assert execute() not in talk.client(execute()).data
    assert talk.executions[-1] == ("-- portal ''", "deny")


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
    talk = Talk(unrestricted=True)
    talk.client(query("unread one; unread two"))
    talk.server(command_complete("DO"), command_complete("DO"), READY)
    assert talk.outcomes == [("unread one; unread two", "completed")]
    assert talk.relay.idle


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
    relay.from_client(_frames(parse("SELECT 1", "é".encode()), parse("SELECT 2", b"x"), query(sql)), NOW)
    plan = relay.from_client(_frames(query("SELECT '\\'; EXECUTE x; --'")), NOW)
    assert [_told(event) for event in plan.events] == [("SELECT '\\'; EXECUTE x; --'", None, None)]
    plan = _full_after(sql).from_client(_frames(bind("é".encode()), execute()), NOW)
    assert [_told(event) for event in plan.events] == [("-- prepared statement 'é'", None, UNKNOWN)]


@pytest.mark.parametrize("sql", ["SET client_encoding = 'UTF8'", "RESET ALL", "SET standard_conforming_strings = on"])
def test_a_setting_to_what_it_is_changes_nothing(sql: str) -> None:
    plan = _full_after(sql).from_client(_frames(bind("é".encode()), execute()), NOW)
    assert [_told(event) for event in plan.events] == [("SELECT 1", "select", None)]


def test_a_setting_that_the_server_reports_counts_as_well() -> None:
    relay = _full_after("SELECT 1")
    answers = ServerSide(relay, {})
    answers.from_server(answer("S", b"client_encoding\0LATIN1\0"), NOW)
    plan = relay.from_client(_frames(bind("é".encode()), execute()), NOW)
    assert [_told(event) for event in plan.events] == [("-- prepared statement 'é'", None, UNKNOWN)]


def _full() -> ClientSide:
    return ClientSide(
        CONTEXT, Judge(FULL, limit=1000), ends_at=CONTEXT.window.ends_at, new_id=lambda: "x",
        new_token=lambda: b"pgjit_deny_1", unrestricted=True,
    )  # fmt: skip


def _full_after(sql: str) -> ClientSide:
    """In one segment: what is sent next need not wait."""
    relay = _full()
    relay.from_client(_frames(parse("SELECT 1", "é".encode()), parse(sql, b"s"), bind(b"s"), execute()), NOW)
    return relay


def _frames(*raws: bytes) -> list[Frame]:
    return list(FrameReader(lambda _: 10_000, data=b"d", cut=b"QPBF").feed(b"".join(raws)))


def _told(event: Event) -> tuple[str, str | None, str | None]:
    assert isinstance(event, Execution)
    return event.statement, event.kind, event.unresolved
