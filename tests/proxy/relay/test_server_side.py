"""Transcripts, the server's half: its bytes in, bytes for the client and outcomes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.audit.event import Execution, Outcome
from pgwire.messages.extended import sync
from pgwire.messages.query import decode_error, error_response, parameter_status
from tests.fakes.both_ends import BothEnds, answer, bind, describe, error, execute, parse, query

READY = answer("Z", b"I")
PARSED, BOUND = answer("1"), answer("2")
ROW = answer("D", b"\0\x01\0\0\0\x017")
DONE = answer("C", b"SELECT 1\0")
SUSPENDED = answer("s")


def asked(*frames: bytes) -> BothEnds:
    ends = BothEnds()
    assert ends.client(*frames).fault is None
    return ends


def test_what_the_server_answers_goes_to_the_client_as_it_is() -> None:
    ends = asked(query("SELECT 1"))
    stream = answer("T", b"\0\0") + ROW + DONE + READY
    assert b"".join(ends.server(stream).data) == stream
    outcome = ends.last_outcome
    assert (outcome.ended, outcome.command, outcome.rows, outcome.bytes) == ("completed", "SELECT 1", 1, len(ROW))
    assert outcome.duration_us == 5000


def test_an_error_that_is_not_about_a_refusal_goes_on_as_it_is() -> None:
    ends = asked(query("SELECT 1/0"))
    raw = error("22012", "division by zero")
    assert b"".join(ends.server(raw, READY).data) == raw + READY
    assert (ends.last_outcome.ended, ends.last_outcome.sqlstate) == ("failed", "22012")


def test_another_error_than_ours_rejects_a_refused_query_as_well() -> None:
    ends = asked(query("DELETE bad"))
    raw = error("57014", "canceling statement due to user request")
    step = ends.server(raw, READY)
    assert step.fault is None
    assert b"".join(step.data) == raw + READY
    assert (ends.last_outcome.ended, ends.last_outcome.sqlstate) == ("refused", "57014")


def test_the_token_of_an_earlier_refusal_is_not_taken_for_this_one() -> None:
    ends = asked(query("DELETE bad"), query("DELETE bad"))
    assert b"C42501" in b"".join(ends.server(ends.refused_by_server(b"pgjit_deny_0001"), READY).data)
    assert b"C42501" not in b"".join(ends.server(ends.refused_by_server(b"pgjit_deny_0001"), READY).data)


def test_a_suspended_portal_ends_one_execution_and_the_next_is_its_own() -> None:
    ends = asked(parse("SELECT 1"), bind(), execute(limit=2), execute(limit=2), sync())
    ends.server(PARSED, BOUND, ROW, ROW, SUSPENDED, ROW, DONE, READY)
    assert [ended for _, ended in ends.outcomes] == ["suspended", "completed"]
    assert [one.rows for one in ends.events if isinstance(one, Outcome)] == [2, 1]


def test_rows_of_copy_are_counted() -> None:
    ends = asked(query("COPY x TO STDOUT"))
    row = answer("d", b"1\t2\n")
    step = ends.server(answer("H", b"\0\0\0"), row, row, row, answer("c"), answer("C", b"COPY 3\0"), READY)
    assert step.fault is None
    outcome = ends.last_outcome
    assert (outcome.ended, outcome.rows, outcome.bytes, outcome.command) == ("completed", 3, 3 * len(row), "COPY 3")


@pytest.mark.parametrize(
    ("tag", "rows"),
    [("INSERT 0 3", 3), ("UPDATE 7", 7), ("CREATE TABLE", 0), ("SELECT ²", 0), ("SELECT " + "9" * 5000, 0), ("", 0)],
)
def test_rows_that_were_not_sent_are_those_of_the_command_tag(tag: str, rows: int) -> None:
    ends = asked(query("INSERT"))
    ends.server(answer("C", tag.encode() + b"\0"), READY)
    assert ends.last_outcome.rows == rows


def test_an_empty_prepared_statement_has_an_outcome() -> None:
    ends = asked(parse(""), bind(), execute(), sync())
    assert ends.server(PARSED, BOUND, answer("I"), READY).fault is None
    assert (ends.last_outcome.ended, ends.last_outcome.command) == ("completed", None)


def test_describe_is_answered_to_its_end() -> None:
    ends = asked(parse("SELECT 1", b"p"), describe("S", b"p"), bind(b"p"), describe("P"), sync())
    assert ends.server(PARSED, answer("t", b"\0\0"), answer("T"), BOUND, answer("n"), READY).fault is None
    assert ends.state.idle


def test_an_error_at_sync_is_on_record_and_leaves_the_next_batch_alone() -> None:
    ends = asked(parse("SELECT 1"), bind(), execute(), sync(), parse("SELECT 2"), bind(), execute(), sync())
    ends.server(PARSED, BOUND, DONE, error("23503", "deferred"), READY, PARSED, BOUND, DONE, READY)
    commit = ("-- commit at Sync", "failed")
    assert ends.outcomes == [("SELECT 1", "completed"), commit, ("SELECT 2", "completed")]
    assert ends.state.idle


def test_a_server_that_leaves_at_sync_has_failed_no_commit() -> None:
    ends = asked(parse("SELECT 1"), bind(), execute(), sync())
    ends.server(PARSED, BOUND, DONE, error("57P01", "terminating connection", "FATAL"))
    assert ends.outcomes == [("SELECT 1", "completed")]


def test_the_rows_of_a_copy_are_those_of_its_tag() -> None:
    """A header is sent like a row, and so is the trailer of the binary format."""
    ends = asked(query("COPY x TO STDOUT WITH (FORMAT binary)"))
    data = [answer("d", each) for each in (b"PGCOPY and a row", b"a row", b"\xff\xff")]
    ends.server(answer("H", b"\1\0\0"), *data, answer("c"), answer("C", b"COPY 2\0"), READY)
    assert ends.last_outcome.rows == 2


@pytest.mark.parametrize("status", ["I", "T", "E"])
def test_the_status_of_the_transaction_is_the_servers(status: str) -> None:
    ends = asked(query("BEGIN"))
    ends.server(answer("C", b"BEGIN\0"), answer("Z", status.encode()))
    assert status == ends.state.transaction_status
    assert (status == "I") is ends.state.idle


@pytest.mark.parametrize(
    "message", [answer("N", b"Mhi\0\0"), answer("A", b"\0\0\0\1c\0\0"), parameter_status("a", "b")]
)
@pytest.mark.parametrize("busy", [True, False])
def test_what_may_come_anytime_goes_on_anytime(message: bytes, busy: bool) -> None:
    ends = asked(query("SELECT 1")) if busy else BothEnds()
    step = ends.server(message)
    assert (step.fault, b"".join(step.data)) == (None, message)


# --- what ends the session ---


@pytest.mark.parametrize(
    ("frames", "stream"),
    [
        ((), ROW),
        ((), answer("d", b"x")),
        ((), DONE),
        ((), READY),
        ((query("SELECT 1"),), answer("G", b"\0\0\0")),  # nothing that is allowed copies to the server
        ((query("SELECT 1"),), answer("R", b"\0\0\0\0")),
        ((query("SELECT 1"),), PARSED),
        ((query("SELECT 1"),), SUSPENDED),
        ((query("SELECT 1"),), answer("Z", b"X")),
        ((query("SELECT 1"),), answer("V")),
        ((parse("SELECT 1"), sync()), ROW),
        ((parse("SELECT 1"), sync()), BOUND),
        ((parse("SELECT 1"), sync()), READY),
        ((sync(),), DONE),
    ],
)
def test_what_nothing_asked_for_ends_the_session_and_does_not_go_on(frames: tuple[bytes, ...], stream: bytes) -> None:
    step = asked(*frames).server(stream)
    assert step.fault is not None
    assert (step.fault.sqlstate, step.reason) == ("08P01", "server")
    assert step.data == []


@pytest.mark.parametrize("stream", [DONE, READY, answer("T", b"\0\0"), answer("I"), answer("H"), ROW, ROW[:6]])
def test_a_server_that_accepts_a_refused_query_ends_the_session(stream: bytes) -> None:
    step = asked(query("DELETE bad")).server(stream)
    assert step.fault is not None
    assert step.data == []


def test_a_server_that_accepts_a_refused_parse_ends_the_session() -> None:
    step = asked(parse("DELETE bad")).server(PARSED)
    assert step.fault is not None
    assert step.data == []


def test_a_setting_that_must_not_change_ends_the_session_before_anything_else_goes_on() -> None:
    ends = BothEnds({"standard_conforming_strings": "on"})
    assert ends.server(parameter_status("standard_conforming_strings", "on")).fault is None
    assert ends.server(parameter_status("TimeZone", "UTC")).fault is None
    step = ends.server(parameter_status("standard_conforming_strings", "off"), ROW)
    assert step.reason == "tripwire"
    assert step.fault is not None
    assert step.fault.reference == "tripwire"
    assert step.data == []


def test_the_servers_own_farewell_is_hidden_only_while_pgjit_ends_the_session() -> None:
    farewell = error("57P01", "terminating connection due to administrator command", "FATAL")
    assert b"".join(BothEnds().server(farewell).data) == farewell
    ends = asked(query("SELECT 1"))
    ends.state.begin_ending(None)
    cancelled = error("57014", "canceling statement due to user request")
    assert b"".join(ends.server(cancelled, READY, farewell).data) == cancelled + READY


def test_a_refusal_read_by_the_client_holds_no_token() -> None:
    ends = asked(query("DELETE bad"))
    data = b"".join(ends.server(ends.refused_by_server(), READY).data)
    assert ends.token not in data
    assert decode_error(data[5 : -len(READY)])["S"] == "ERROR"


# --- however it is cut ---

CONVERSATION = (query("SELECT 1; SELECT 2"), query("DELETE bad"), query("SELECT 3"))


def conversation(ends: BothEnds) -> bytes:
    refusal = ends.refused_by_server(b"pgjit_deny_0001")
    return b"".join([answer("T"), ROW, DONE, ROW, ROW, DONE, READY, refusal, READY, ROW, DONE, READY])


@given(st.lists(st.integers(0, 300), max_size=10))
def test_any_split_of_the_servers_stream_comes_to_the_same(cuts: list[int]) -> None:
    whole, split = asked(*CONVERSATION), asked(*CONVERSATION)
    stream = conversation(whole)
    at = sorted({cut % (len(stream) + 1) for cut in cuts})
    expected = b"".join(whole.server(stream).data)
    found = b"".join(
        b"".join(split.server(stream[a:b]).data) for a, b in zip([0, *at], [*at, len(stream)], strict=True)
    )
    assert expected == found
    assert whole.events == split.events
    assert [one.rows for one in whole.events if isinstance(one, Outcome)] == [1, 2, 0, 1]


kinds = st.sampled_from(list("12TDCIZEHcdsnt3NSAGRKV"))


@given(st.lists(st.tuples(kinds, st.binary(max_size=12)), max_size=8), st.binary(max_size=20))
def test_garbage_of_the_server_never_raises(messages: list[tuple[str, bytes]], rest: bytes) -> None:
    ends = asked(query("SELECT 1"), parse("SELECT 2"), bind(), execute(), sync(), query("bad"))
    for kind, body in messages:
        if ends.server(answer(kind, body)).fault is not None:
            return
    ends.server(rest)


@pytest.mark.parametrize("frames", [(parse("SELECT 1"), sync()), (parse("SELECT 1"), describe("S"), sync())])
def test_a_statement_that_the_server_rejects_before_it_is_executed_is_on_record(frames: tuple[bytes, ...]) -> None:
    ends = asked(*frames)
    assert ends.executions == []
    ends.server(error("42P01", "no such table"), READY)
    assert ends.executions == [("SELECT 1", "allow")]
    assert ends.outcomes == [("SELECT 1", "failed")]
    assert ends.last_outcome.sqlstate == "42P01"


def test_a_bind_that_the_server_rejects_is_on_record_with_its_values() -> None:
    ends = asked(parse("SELECT 1"), bind(values=(b"7",)), sync())
    ends.server(PARSED, error("22P02", "bad number"), READY)
    assert ends.outcomes == [("SELECT 1", "failed")]
    recorded = [event for event in ends.events if isinstance(event, Execution)]
    assert recorded[0].parameters is not None
    assert recorded[0].parameters.values == (b"7",)


@pytest.mark.parametrize("answered", [(), (PARSED,)])
def test_an_execution_whose_parse_or_bind_is_rejected_has_failed_and_those_behind_it_are_skipped(
    answered: tuple[bytes, ...],
) -> None:
    ends = asked(parse("SELECT 1"), bind(), execute(), parse("SELECT 2"), bind(), execute(), sync())
    ends.server(*answered, error("42P01", "no such table"), READY)
    assert ends.outcomes == [("SELECT 1", "failed"), ("SELECT 2", "skipped")]
    assert len(ends.executions) == 2


@pytest.mark.parametrize(
    ("sqlstate", "told"), [("23505", False), ("21000", False), ("22P02", False), ("44000", False), ("42601", True)]
)
def test_where_columns_may_be_denied_an_error_about_data_quotes_none(sqlstate: str, told: bool) -> None:
    ends = BothEnds()
    ends.server_side.errors.hides_details = True
    ends.client(query("SELECT 1"))
    step = ends.server(error_response({"S": "ERROR", "C": sqlstate, "M": "no", "D": "Row: (1, secret)"}), READY)
    data = b"".join(step.data)
    assert b"no" in data
    assert (b"secret" in data) == told


@pytest.mark.parametrize("name", ["UTF8", "utf8", "UTF-8", "Unicode"])
def test_another_name_of_utf8_is_no_change(name: str) -> None:
    ends = BothEnds({"client_encoding": "UTF8"})
    assert ends.server(parameter_status("client_encoding", name)).fault is None
    changed = ends.server(parameter_status("client_encoding", "LATIN1"))
    assert changed.reason == "tripwire"
