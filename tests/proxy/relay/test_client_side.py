"""The relay as a transcript: what a client sends, what goes to the server, what is recorded, what comes back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.event import Execution
from pgjit.judging.judge import Judge
from pgjit.proxy.relay import prepared_statements
from pgjit.proxy.relay.client_side import ClientPlan
from pgjit.sql.catalog import Catalog, Column, Relation, Type
from pgwire.framing import Frame, FrameReader
from pgwire.messages import extended, query
from pgwire.messages.extended import Bind, DescribeTarget, Execute, Parse
from pgwire.reader import message
from tests.fakes.both_ends import BothEnds
from tests.fixtures.odd import SHOP
from tests.fixtures.terms import policy_of

OK = query.ready_for_query(b"I")
IN_TRANSACTION = query.ready_for_query(b"T")
SYNC, FLUSH = extended.sync(), message(b"H")


def both_ends(catalog: Catalog | None = None) -> BothEnds:
    """With the real judge."""
    judge = Judge(policy_of(), limit=10_000, catalog=catalog)
    return BothEnds({"client_encoding": "UTF8"}, judge=judge, looks_again=catalog is not None)


def _frames(*raw: bytes) -> list[Frame]:
    return FrameReader(lambda _: 1 << 20).feed(b"".join(raw))


def q(text: str) -> bytes:
    return query.encode_query(text.encode())


def p(text: str, name: str = "", *types: int) -> bytes:
    return extended.encode_parse(Parse(name.encode(), text.encode(), types))


def b(name: str = "", portal: str = "", *values: bytes) -> bytes:
    return extended.encode_bind(Bind(portal.encode(), name.encode(), (), values, ()))


def e(portal: str = "", limit: int = 0) -> bytes:
    return extended.encode_execute(Execute(portal.encode(), limit))


def error(code: str, text: str = "no") -> bytes:
    return query.error_response({"S": "ERROR", "V": "ERROR", "C": code, "M": text})


def executions(plan: ClientPlan) -> list[tuple[str, str]]:
    return [(event.decision, event.statement) for event in plan.events if isinstance(event, Execution)]


def token_of(plan: ClientPlan) -> str:
    return plan.data[plan.data.index(b"pgjit_deny_") :].split(b"\0")[0].decode()


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
    frames = _frames(plan.data)
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


def test_names_are_shared_by_sql_and_protocol() -> None:
    ends = both_ends()
    ends.client(q("prepare s as select 1"))
    ends.server(query.command_complete("PREPARE"), OK)
    assert executions(ends.client(b("s"), e(), SYNC)) == [("allow", "prepare s as select 1")]
    ends.server(message(b"2"), query.command_complete("SELECT 1"), OK)
    ends.client(q("deallocate s"))
    ends.server(query.command_complete("DEALLOCATE"), OK)
    assert ends.state.prepared_statements.statement(b"s") is None


def test_a_name_that_was_taken_keeps_what_it_had() -> None:
    ends = both_ends()
    ends.client(p("select 1", "s"), SYNC)
    ends.server(message(b"1"), OK)
    ends.client(p("select 2", "s"), SYNC)
    ends.server(error("42P05"), OK)
    prepared = ends.state.prepared_statements.statement(b"s")
    assert prepared is not None
    assert prepared.text == "select 1"


def test_a_query_drops_the_unnamed_statement() -> None:
    ends = both_ends()
    ends.client(p("select 1"), SYNC)
    ends.server(message(b"1"), OK)
    ends.client(q(""))
    ends.server(message(b"I"), OK)
    assert [d for d, _ in executions(ends.client(b(), e(), SYNC))] == ["deny"]


def test_a_portal_that_is_suspended_goes_on_under_a_new_record() -> None:
    ends = both_ends()
    ends.client(p("select 1"), b(), e(limit=1), e(limit=1), SYNC)
    ends.server(message(b"1"), message(b"2"), message(b"D", b"\0\0"), message(b"s"))
    ends.server(query.command_complete("SELECT 0"), OK)
    assert ends.results == [("suspended", 1, None), ("completed", 0, None)]


def test_without_a_journal_nothing_that_runs_is_sent() -> None:
    ends = both_ends()
    plan = ends.client(q("select 'secret'"), p("select 'other'"), b(), e(), SYNC)
    data = ends.state.withdraw(plan)
    assert b"secret" not in data
    kinds = [chr(frame.kind) for frame in _frames(data)]
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
        forwarded = sum(frame.kind in b"QE" and b"pgjit_deny" not in frame.raw for frame in _frames(data))
        assert forwarded <= len(executions(plan)) + (raw == q(""))


def test_what_is_executed_under_a_name_that_may_yet_stand_for_another_waits() -> None:
    ends = both_ends()
    ends.client(p("select 1", "u"), SYNC)
    ends.server(message(b"1"), OK)
    plan = ends.client(p("select 2", "u"), SYNC, b("u"), e(), SYNC)
    assert plan.data == p("select 2", "u") + SYNC
    assert [ends.state.waits] == [True]
    ends.server(error("42P05", "it exists"), OK)
    assert [ends.state.waits] == [False]
    rest = ends.frames(plan.rest)
    assert executions(rest) == [("allow", "select 1")]


def test_a_pipeline_whose_names_are_made_in_their_own_segment_does_not_wait() -> None:
    ends = both_ends()
    plan = ends.client(*[frame for n in range(5) for frame in (p(f"select {n}"), b(), e(), SYNC)])
    assert plan.rest == ()
    assert len(executions(plan)) == 5


def test_a_portal_of_another_segment_that_is_under_way_waits_as_well() -> None:
    ends = both_ends()
    plan = ends.client(p("select 1"), b("", "c"), SYNC, e("c"), SYNC)
    assert executions(plan) == []
    ends.server(message(b"1"), message(b"2"), IN_TRANSACTION)  # with which the portal would end
    assert executions(ends.frames(plan.rest)) == [("allow", "select 1")]


def test_there_is_an_end_to_the_names_of_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_statements, "MOST", 3)
    ends = both_ends()
    ends.client(p("select 1", "a"), p("select 1", "b"), p("select 1", "c"), SYNC)
    ends.server(message(b"1") * 3, OK)
    for frames in ((p("select 1", "d"), SYNC), (q("prepare d as select 1"),), (b("a", "d"), SYNC)):
        plan = ends.client(*frames)
        assert b"pgjit_deny_" in plan.data
        ends.server(error("42601", token_of(plan)), OK)
    assert ends.client(p("select 1"), b(), SYNC).data == p("select 1") + b() + SYNC


# --- names that the catalog does not have ---

UNKNOWN = [
    "SELECT * FROM latest",
    "SELECT latest FROM orders",
    "SELECT latest(1)",
    "SELECT 1::latest",
    "SELECT 1 === 1",
]


@pytest.mark.parametrize("text", UNKNOWN)
@pytest.mark.parametrize("send", [q, p], ids=["simple", "extended"])
def test_before_an_unknown_name_the_relay_stops_and_refuses_it_when_it_is_settled(
    send: Callable[[str], bytes], text: str
) -> None:
    ends = both_ends(SHOP)
    plan = ends.client(q("SELECT 1"), send(text), q("SELECT 2"))

    assert plan.data == q("SELECT 1")
    assert executions(plan) == [("allow", "SELECT 1")]
    assert plan.unknown
    assert [bytes(frame.raw) for frame in plan.rest] == [send(text), q("SELECT 2")]

    again = ends.client(send(text), settled=True)
    assert not again.unknown
    assert executions(again) == [("deny", text)]
    assert text.encode() not in again.data


def test_a_name_that_is_known_by_then_runs() -> None:
    ends = both_ends(SHOP)
    assert ends.client(q("SELECT * FROM latest")).unknown

    newer = {**SHOP.relations, "public": {**SHOP.relations["public"], "latest": Relation("r", (Column("id"),))}}
    ends.judge = Judge(policy_of(), limit=10_000, catalog=replace(SHOP, relations=newer))
    assert ends.client(q("SELECT * FROM latest"), settled=True).data == q("SELECT * FROM latest")


def test_only_the_first_statement_is_settled() -> None:
    ends = both_ends(SHOP)
    plan = ends.client(q("SELECT * FROM latest"), q("SELECT * FROM later"), settled=True)

    assert executions(plan) == [("deny", "SELECT * FROM latest")]
    assert plan.unknown
    assert len(plan.rest) == 1


def test_what_is_refused_for_another_reason_or_passed_over_does_not_wait() -> None:
    ends = both_ends(SHOP)
    plan = ends.client(p("DELETE FROM orders"), p("SELECT * FROM latest"), SYNC, q("DELETE FROM orders"))

    assert not plan.unknown
    assert not plan.rest
    assert [decision for decision, _ in executions(plan)] == ["deny"] * 3


@pytest.mark.parametrize(("oid", "passes"), [(0, True), (25, True), (20001, True), (20002, True), (20003, False)])
def test_a_parameter_may_be_of_an_enum_that_the_catalog_knows(oid: int, passes: bool) -> None:
    types = {**SHOP.types, "public": {**SHOP.types["public"], "mood": Type("e", oids=(20001, 20002))}}
    ends = both_ends(replace(SHOP, types=types))
    plan = ends.client(p("SELECT $1", "", oid))

    assert (plan.data == p("SELECT $1", "", oid)) is passes
    assert [decision for decision, _ in executions(plan)] == ([] if passes else ["deny"])
    assert both_ends().client(p("SELECT $1", "", 20001)).data != p("SELECT $1", "", 20001)


def test_what_takes_long_to_judge_lets_others_have_their_turn_before_the_rest() -> None:
    seconds = itertools.count(0, 0.003)
    ends = BothEnds(judge=Judge(policy_of(), limit=10_000), spent=lambda: next(seconds))
    raws = [query.encode_query(b"SELECT %d" % number) for number in range(7)]  # three in a turn
    frames: Sequence[Frame] = _frames(*raws)
    sent, turns = b"", 0
    while frames:
        plan = ends.frames(frames)
        frames = plan.rest
        sent += plan.data
        turns += 1
    assert turns == 3
    assert sent == both_ends().client(*raws).data
