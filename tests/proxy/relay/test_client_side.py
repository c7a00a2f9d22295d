"""The relay as a transcript: what a client sends, what goes to the server, what is recorded, what comes back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.event import Execution
from pgjit.judging.judge import Judge
from pgwire.framing import Frame
from pgwire.messages import extended, query
from pgwire.messages.extended import DescribeTarget
from pgwire.reader import message
from tests.fakes.both_ends import BothEnds
from tests.fixtures.terms import policy_of
from tests.proxy.relay.transcript import (
    FLUSH,
    OK,
    SYNC,
    b,
    both_ends,
    e,
    error,
    executions,
    frames_of,
    p,
    q,
    token_of,
)


def test_an_allowed_query_goes_on_as_it_is_and_is_recorded() -> None:
    ends = both_ends()
    plan = ends.client(q("select 1"))
    assert plan.data == q("select 1")
    assert executions(plan) == [("allow", "select 1")]
    rows = message(b"D", b"\0\1\0\0\0\1" + b"1") * 3
    step = ends.server(message(b"T", b"\0\0"), rows, query.command_complete("SELECT 3"), OK)
    assert b"".join(step.data) == message(b"T", b"\0\0") + rows + query.command_complete("SELECT 3") + OK
    assert ends.results == [("completed", 3, None)]
    assert ends.state.idle


def running(ends: BothEnds) -> Execution | None:
    run = ends.state.queue.running
    return None if run is None else run.execution


def test_what_runs_is_known_with_its_record_until_it_is_answered() -> None:
    ends = both_ends()
    assert running(ends) is None
    plan = ends.client(q("select 1"))
    assert [running(ends)] == [each for each in plan.events if isinstance(each, Execution)]
    ends.client(q("delete from t"))
    ends.client(q("select 2"))
    assert running(ends) is plan.events[0], "the first that was sent"
    ends.server(message(b"T", b"\0\0"), query.command_complete("SELECT 0"), OK)
    following = running(ends)
    assert following is not None
    assert following.statement == "select 2", "nothing runs for one that was refused"


def test_a_refused_query_is_replaced_and_the_servers_error_is_rewritten() -> None:
    ends = both_ends()
    plan = ends.client(q("delete from t"))
    assert b"delete" not in plan.data
    assert executions(plan) == [("deny", "delete from t")]
    step = ends.server(error("42601", f'syntax error at or near "{token_of(plan)}"'), OK)
    fields = query.decode_error(b"".join(step.data)[5 : -len(OK)])
    assert (fields["C"], fields["R"], fields["P"]) == ("42501", "pgjit:statement-kind", "1")
    assert ends.results == [("refused", 0, "42501")]


def test_another_error_in_its_place_is_passed_on() -> None:
    ends = both_ends()
    ends.client(q("delete from t"))
    step = ends.server(error("53200", "out of memory"), OK)
    assert b"out of memory" in b"".join(step.data)
    assert ends.results == [("refused", 0, "53200")]


@pytest.mark.parametrize("answer", [query.command_complete("DELETE 1"), message(b"T", b"\0\0"), OK])
def test_a_server_that_accepts_what_it_had_to_reject_ends_the_session(answer: bytes) -> None:
    ends = both_ends()
    ends.client(q("delete from t"))
    step = ends.server(answer)
    assert step.fault is not None
    assert step.data == []


def test_one_bad_statement_stops_the_whole_message_and_all_are_recorded() -> None:
    plan = both_ends().client(q("select 1; drop table t; select 2"))
    assert b"select" not in plan.data
    assert executions(plan) == [("deny", "select 1"), ("deny", "drop table t"), ("deny", "select 2")]


def test_each_statement_of_a_message_has_its_outcome() -> None:
    ends = both_ends()
    ends.client(q("select 1; select 2; select 3"))
    ends.server(query.command_complete("SELECT 1"), error("22012"), OK)
    assert ends.results == [("completed", 1, None), ("failed", 0, "22012"), ("skipped", 0, None)]


def test_a_refused_parse_keeps_its_name_and_what_follows_is_not_sent() -> None:
    ends = both_ends()
    plan = ends.client(p("update t set a = 1", "s"), b("s"), e(), SYNC)
    frames = frames_of(plan.data)
    assert [chr(frame.kind) for frame in frames] == ["P", "S"]
    assert extended.decode_parse(frames[0].body).name == b"s"
    assert executions(plan) == [("deny", "update t set a = 1")]
    ends.server(error("42601", token_of(plan)), OK)
    assert ends.state.idle
    assert ends.state.prepared_statements.statement(b"s") is None


def test_an_error_skips_to_sync_and_what_comes_after_it_counts_again() -> None:
    ends = both_ends()
    ends.client(p("select 1"), b(), e(), p("select 2"), b(), e(), SYNC, p("select 3"), b(), e(), SYNC)
    ends.server(message(b"1"), message(b"2"), error("22012"), OK)
    ends.server(message(b"1"), message(b"2"), query.command_complete("SELECT 1"), OK)
    assert ends.results == [("failed", 0, "22012"), ("skipped", 0, None), ("completed", 1, None)]
    assert ends.state.idle


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([b("nobody"), SYNC], "26000"),
        ([e("nobody"), SYNC], "34000"),
        ([q("execute nobody(1)")], "26000"),
        ([q("fetch all from nobody")], "34000"),
        ([p("select 1; select 2"), SYNC], "42601"),
        ([p("select $1", "", 20_000), SYNC], "42501"),
        ([message(b"F", b"\0\0\0\1\0\0\0\0\0\0")], "42501"),
        ([q("show pgjit.nonsense")], "42704"),
        ([q("selec 1")], "42601"),
    ],
)
def test_what_is_not_known_or_not_judged_is_refused(frames: list[bytes], code: str) -> None:
    ends = both_ends()
    plan = ends.client(*frames)
    assert {decision for decision, _ in executions(plan)} == {"deny"}
    step = ends.server(error("42601", token_of(plan)), OK)
    assert f"C{code}".encode() in b"".join(step.data)
    assert not any(raw in plan.data for raw in frames if raw != SYNC)


def test_without_a_journal_nothing_that_runs_is_sent() -> None:
    ends = both_ends()
    plan = ends.client(q("select 'secret'"), p("select 'other'"), b(), e(), SYNC)
    data = ends.state.withdraw(plan)
    assert b"secret" not in data
    kinds = [chr(frame.kind) for frame in frames_of(data)]
    assert kinds == ["Q", "P", "B", "P", "S"]
    tokens = [part.split(b"\0")[0].decode() for part in data.split(b"pgjit_deny_")[1:]]
    step = ends.server(error("42601", f"pgjit_deny_{tokens[0]}"), OK, message(b"1"), message(b"2"))
    last = ends.server(error("42601", f"pgjit_deny_{tokens[-1]}"), OK)
    assert b"C58030" in b"".join(step.data)
    assert b"C58030" in b"".join(last.data)
    assert ends.state.idle


def test_show_window_is_answered_by_a_select() -> None:
    plan = both_ends().client(q("SHOW pgjit.window;"))
    assert plan.data.startswith(b"Q")
    assert b"w_1: 2026-11-24 09:00:00 UTC to 2026-11-24 10:00:00 UTC" in plan.data


def test_a_setting_that_must_not_change_ends_the_session() -> None:
    ends = both_ends()
    step = ends.server(query.parameter_status("client_encoding", "SJIS"))
    assert (step.reason, step.fault is not None) == ("tripwire", True)
    assert both_ends().server(query.parameter_status("client_encoding", "UTF8")).fault is None


@pytest.mark.parametrize("raw", [message(b"D", b"\0\0"), query.command_complete("X"), OK, message(b"G", b"\0\0\0")])
def test_what_nothing_asked_for_ends_the_session(raw: bytes) -> None:
    assert both_ends().server(raw).fault is not None


def test_the_servers_farewell_is_ours_to_say() -> None:
    ends = both_ends()
    ends.state.begin_ending(None)
    fatal = query.error_response({"S": "FATAL", "V": "FATAL", "C": "57P01", "M": "administrator"})
    assert b"".join(ends.server(fatal).data) == b""


@pytest.mark.parametrize(
    "raw", [message(b"p", b"x\0"), message(b"y"), q("select 1")[:-1] + b"x", message(b"S", b"x")]
)
def test_a_client_that_breaks_the_protocol_is_let_go(raw: bytes) -> None:
    plan = both_ends().client(raw)
    assert plan.fault is not None
    assert plan.data == b""


FRAMES = [
    q("select 1"), q("delete from bad"), q(""), p("select 2", "s"), p("update bad set a = 1", "s"), p("select 3"),
    b("s"), b(), e(), extended.encode_target(b"C", DescribeTarget("S", b"s")), SYNC, FLUSH,
    q("prepare s as delete from bad"),
    q("select 1; drop table bad"), message(b"F", b"bad"), message(b"d", b"bad"),
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAMES), max_size=12), st.booleans())
def test_no_refused_text_is_sent_and_all_that_runs_is_recorded(sent: list[bytes], failing: bool) -> None:
    ends = both_ends()
    for raw in sent:
        plan = ends.client(raw)
        data = ends.state.withdraw(plan) if failing else plan.data
        assert b"bad" not in data
        forwarded = sum(frame.kind in b"QE" and b"pgjit_deny" not in frame.raw for frame in frames_of(data))
        assert forwarded <= len(executions(plan)) + (raw == q(""))


def test_what_takes_long_to_judge_lets_others_have_their_turn_before_the_rest() -> None:
    seconds = itertools.count(0, 0.003)
    ends = BothEnds(judge=Judge(policy_of(), limit=10_000), spent=lambda: next(seconds))
    raws = [query.encode_query(b"SELECT %d" % number) for number in range(7)]  # three in a turn
    frames: Sequence[Frame] = frames_of(*raws)
    sent, turns = b"", 0
    while frames:
        plan = ends.frames(frames)
        frames = plan.rest
        sent += plan.data
        turns += 1
    assert turns == 3
    assert sent == both_ends().client(*raws).data
