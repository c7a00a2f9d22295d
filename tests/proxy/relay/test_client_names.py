"""Names that a client gives to statements and portals: what they stand for, and what waits until that is known."""

from __future__ import annotations

import pytest

from pgjit.proxy.relay import prepared_statements
from pgwire.messages import query
from pgwire.reader import message
from tests.proxy.relay.transcript import (
    IN_TRANSACTION,
    OK,
    SYNC,
    b,
    both_ends,
    e,
    error,
    executions,
    p,
    q,
    token_of,
)


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
