"""The policy's limits, live: a result is cut between two rows, and the client reads 54000 in place of the rest."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgjit.grants.usage import Usage
from pgjit.policy.policy import Limits
from pgjit.proxy.relay.budget import Budget
from pgwire.framing import fitting_messages
from pgwire.messages.extended import sync
from pgwire.messages.query import command_complete, decode_error, ready_for_query
from pgwire.reader import message
from tests.fakes.both_ends import BothEnds, answer, bind, error, execute, parse, query

READY = ready_for_query(b"I")
ROW = message(b"D", struct.pack("!hi", 1, 5) + b"hello")
HEAD = answer("T", b"\0\0")
CANCELLED = error("57014", "canceling statement due to user request")


def limited(
    rows: int | None = None,
    *,
    bytes: int | None = None,  # noqa: A002 - the key's own name
    window_rows: int | None = None,
    window_statements: int | None = None,
) -> BothEnds:
    limits = Limits(rows=rows, bytes=bytes, window_rows=window_rows, window_statements=window_statements)
    return BothEnds(budget=Budget(limits, Usage()))


def said(*steps: bytes) -> list[str]:
    """The types of the messages in a stream of whole ones."""
    data, kinds, at = b"".join(steps), [], 0
    while at < len(data):
        kinds.append(chr(data[at]))
        at += 1 + struct.unpack_from("!I", data, at + 1)[0]
    assert at == len(data)
    return kinds


def error_of(data: bytes) -> dict[str, str]:
    start = data.index(b"E" + data.split(b"E", 1)[1][:4])
    return decode_error(data[start + 5 : start + 1 + struct.unpack_from("!I", data, start + 1)[0]])


def test_a_result_within_the_limit_passes_whole() -> None:
    ends = limited(rows=3)
    ends.client(query("SELECT 1"))
    step = ends.server(HEAD, ROW * 3, command_complete("SELECT 3"), READY)
    assert said(*step.data) == ["T", "D", "D", "D", "C", "Z"]
    assert not step.cancel
    assert ends.outcomes == [("SELECT 1", "completed")]


def test_a_result_over_the_limit_is_cut_and_cancelled() -> None:
    ends = limited(rows=2)
    ends.client(query("SELECT 1"))
    first = ends.server(HEAD, ROW * 5)
    assert said(*first.data) == ["T", "D", "D"]
    assert first.cancel
    assert ends.server(ROW * 100).data in ([], [b""])
    last = ends.server(ROW * 3, CANCELLED, READY)
    assert said(*last.data) == ["E", "Z"]
    told = error_of(b"".join(last.data))
    assert (told["C"], told["R"]) == ("54000", "pgjit:limit-rows")
    assert "was cancelled" in told["D"]
    assert ends.outcomes == [("SELECT 1", "limited")]
    assert (ends.last_outcome.rows, ends.last_outcome.sqlstate) == (2, "54000")
    assert ends.state.idle


def test_a_result_that_was_complete_before_the_cancel_ends_in_the_error_all_the_same() -> None:
    ends = limited(rows=2)
    ends.client(query("SELECT 1"))
    step = ends.server(HEAD, ROW * 5, command_complete("SELECT 5"), READY)
    assert said(*step.data) == ["T", "D", "D", "E", "Z"]
    assert "completed by the server" in error_of(b"".join(step.data[1:]))["D"]
    assert ends.outcomes == [("SELECT 1", "limited")]


def test_what_the_server_goes_on_with_behind_it_is_for_nobody_and_on_record() -> None:
    ends = limited(rows=1)
    ends.client(query("SELECT 1; SELECT 2"))
    step = ends.server(HEAD, ROW * 2, command_complete("SELECT 2"), HEAD, ROW, command_complete("SELECT 1"), READY)
    assert said(*step.data) == ["T", "D", "E", "Z"]
    assert ends.outcomes == [("SELECT 1", "limited"), ("SELECT 2", "completed")]


def test_in_the_extended_protocol_the_client_is_answered_again_after_its_sync() -> None:
    ends = limited(rows=1)
    ends.client(parse("SELECT 1"), bind(), execute())
    step = ends.server(answer("1"), answer("2"), ROW * 2, command_complete("SELECT 2"))
    assert said(*step.data) == ["1", "2", "D", "E"]
    assert ends.client(parse("SELECT 2"), bind(), execute(), sync()).data == sync()
    assert said(*ends.server(READY).data) == ["Z"]
    ends.client(parse("SELECT 3"), bind(), execute())
    step = ends.server(answer("1"), answer("2"), ROW, command_complete("SELECT 1"))
    assert said(*step.data) == ["1", "2", "D", "C"]


def test_nothing_is_sent_behind_a_result_that_may_be_cut() -> None:
    ends = limited(rows=1)
    plan = ends.client(parse("SELECT 1"), bind(), execute(), parse("INSERT x"), bind(), execute(), sync())
    assert plan.data == parse("SELECT 1") + bind() + execute() + message(b"H")
    ends.server(answer("1"), answer("2"), ROW * 2, command_complete("SELECT 2"))
    rest = ends.frames(plan.rest)
    assert rest.data == sync()
    ends.server(READY)
    assert ends.outcomes[0] == ("SELECT 1", "limited")
    assert ends.state.idle


def test_an_error_tells_no_more_than_a_result_could() -> None:
    ends = limited(bytes=100)
    ends.client(query("SELECT 1"))
    step = ends.server(error("22P02", "invalid input: " + "secret" * 10_000), READY)
    assert len(b"".join(step.data)) < 1_200
    assert error_of(b"".join(step.data))["C"] == "22P02"


def test_a_copy_to_the_client_is_cut_as_well() -> None:
    ends = limited(rows=1)
    ends.client(query("COPY x TO STDOUT"))
    line = message(b"d", b"hello\n")
    step = ends.server(answer("H", b"\0\0\0"), line * 3, message(b"c"), command_complete("COPY 3"), READY)
    assert said(*step.data) == ["H", "d", "E", "Z"]


@pytest.mark.parametrize("piece", [1, 3, 7, len(ROW), len(ROW) + 1, 1000])
def test_the_cut_is_between_two_rows_however_they_arrive(piece: int) -> None:
    ends = limited(rows=4)
    ends.client(query("SELECT 1"))
    stream = HEAD + ROW * 9 + CANCELLED + READY
    steps = [ends.server(stream[at : at + piece]) for at in range(0, len(stream), piece)]
    assert said(*[data for step in steps for data in step.data]) == ["T", "D", "D", "D", "D", "E", "Z"]
    assert any(step.cancel for step in steps)
    assert ends.last_outcome.rows == 4


@pytest.mark.parametrize("most", [1, len(ROW) - 1, len(ROW), len(ROW) * 3 + 1])
def test_bytes_are_limited_by_whole_rows(most: int) -> None:
    ends = limited(bytes=most)
    ends.client(query("SELECT 1"))
    step = ends.server(HEAD, ROW * 5, CANCELLED, READY)
    assert said(*step.data).count("D") == most // len(ROW)


@pytest.mark.parametrize("piece", [1, 5, 7, len(ROW) - 1, len(ROW), len(ROW) + 1, 1000])
@pytest.mark.parametrize("most", [1, len(ROW) - 1, len(ROW), len(ROW) * 3 + 1, len(ROW) * 5])
def test_however_it_arrives_a_row_that_does_not_fit_is_not_begun(most: int, piece: int) -> None:
    ends = limited(bytes=most)
    ends.client(query("SELECT 1"))
    stream = HEAD + ROW * 5 + command_complete("SELECT 5") + READY
    steps = [ends.server(stream[at : at + piece]) for at in range(0, len(stream), piece)]
    fits = most // len(ROW)
    ending = "C" if fits == 5 else "E"
    assert said(*[data for step in steps for data in step.data]) == ["T", *"D" * fits, ending, "Z"]
    assert (ends.last_outcome.rows, ends.last_outcome.bytes) == (fits, fits * len(ROW))
    assert ends.state.budget.usage.bytes == fits * len(ROW)


def test_what_is_on_its_way_counts_already_for_the_other_sessions_of_the_window() -> None:
    usage, limits = Usage(), Limits(window_bytes=len(ROW) + 5)
    first, second = BothEnds(budget=Budget(limits, usage)), BothEnds(budget=Budget(limits, usage))
    for ends in (first, second):
        ends.client(query("SELECT 1"))
    assert first.server(HEAD, ROW[:7]).data == [HEAD + ROW[:7]]
    assert said(*second.server(HEAD, ROW[:7]).data) == ["T"]
    assert first.server(ROW[7:], command_complete("SELECT 1")).data == [ROW[7:] + command_complete("SELECT 1")]
    assert usage.bytes == len(ROW)


def test_the_window_counts_over_executions_and_then_begins_nothing_more() -> None:
    ends = limited(window_rows=3)
    ends.client(query("SELECT 1"))
    ends.server(HEAD, ROW * 2, command_complete("SELECT 2"), READY)
    ends.client(query("SELECT 2"))
    step = ends.server(HEAD, ROW * 2, CANCELLED, READY)
    assert said(*step.data) == ["T", "D", "E", "Z"]
    plan = ends.client(query("SELECT 3"))
    assert b"pgjit_deny_" in plan.data
    assert ends.executions[-1] == ("SELECT 3", "deny")


def test_statements_of_a_window_are_counted_and_then_refused_in_both_protocols() -> None:
    ends = limited(window_statements=1)
    ends.client(query("SELECT 1"))
    ends.server(command_complete("SELECT 0"), READY)
    assert b"pgjit_deny_" in ends.client(query("SELECT 2")).data
    ends.server(ends.refused_by_server(), READY)
    plan = ends.client(parse("SELECT 3"), bind(), execute(), sync())
    assert execute() not in plan.data
    assert b"pgjit_deny_" in plan.data


def test_what_is_refused_counts_among_the_statements_of_a_window() -> None:
    ends = limited(window_statements=5)
    ends.client(query("bad; SELECT 2"))
    ends.server(ends.refused_by_server(), READY)
    ends.client(parse("broken"), bind(), sync())
    ends.server(ends.refused_by_server(), READY)
    ends.client(execute(b"nobody"), sync())
    ends.server(ends.refused_by_server(), READY)
    assert ends.state.budget.usage.statements == 4
    assert b"pgjit_deny_" not in ends.client(query("SELECT 1")).data
    ends.server(command_complete("SELECT 0"), READY)
    assert b"pgjit_deny_" in ends.client(query("SELECT 1")).data


def test_an_error_of_the_servers_own_stays_its_own() -> None:
    ends = limited(rows=1)
    ends.client(query("SELECT 1"))
    step = ends.server(error("22012", "division by zero"), READY)
    assert error_of(b"".join(step.data))["C"] == "22012"
    assert ends.outcomes == [("SELECT 1", "failed")]


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 15), st.integers(0, 300), st.integers(0, 5))
def test_what_fits_never_is_over_either_limit_and_one_more_would_be(
    sizes: list[int], rows: int, size: int, cut: int
) -> None:
    whole = b"".join(message(b"D", b"x" * each) for each in sizes)
    end = max(0, len(whole) - cut)
    count, at = fitting_messages(whole, 0, end, rows, size)
    lengths = [each + 5 for each in sizes]
    assert count <= rows
    assert sum(lengths[:count]) <= size
    assert at == sum(lengths[:count])
    begun = sum(lengths[:count]) + 5 <= end  # the header of the next one is there
    if begun and count < len(lengths):
        assert count == rows or sum(lengths[: count + 1]) > size


@pytest.mark.parametrize("other", ["truncate t", "do 'x'", "call p()", "create-table x", "vacuum t"])
def test_whatever_does_more_than_read_comes_alone_where_results_are_limited(other: str) -> None:
    both = query(f"select 1; {other}")
    for ends, sent, ran in (
        (limited(rows=3), both, False),
        (limited(rows=3), query(other), True),
        (BothEnds(), both, True),
    ):
        ends.client(sent)
        assert {decision for _, decision in ends.executions} == {"allow" if ran else "deny"}


NOTICE = answer("N", b"SNOTICE\0VNOTICE\0C00000\0M" + b"x" * 60 + b"\0\0")


def test_notices_count_as_bytes_of_what_runs() -> None:
    ends = limited(bytes=2 * len(NOTICE) + len(ROW))
    ends.client(query("SELECT 1"))
    first = ends.server(NOTICE, HEAD, ROW, NOTICE)
    assert said(*first.data) == ["N", "T", "D", "N"]
    assert not first.cancel
    over = ends.server(NOTICE, ROW, NOTICE)
    assert said(*over.data) == []
    assert over.cancel
    last = ends.server(NOTICE, CANCELLED, READY)
    assert said(*last.data) == ["E", "Z"]
    assert error_of(b"".join(last.data))["R"] == "pgjit:limit-bytes"
    assert ends.outcomes == [("SELECT 1", "limited")]
    assert ends.last_outcome.bytes == 2 * len(NOTICE) + len(ROW)


def test_a_statement_that_completes_behind_too_many_notices_ends_in_the_error() -> None:
    ends = limited(bytes=len(NOTICE))
    ends.client(query("SELECT 1"))
    step = ends.server(NOTICE, NOTICE, HEAD, command_complete("SELECT 0"), NOTICE, READY)
    assert said(*step.data) == ["N", "T", "E", "Z"]
    assert ends.outcomes == [("SELECT 1", "limited")]


def test_notices_before_a_refusal_are_left_out_and_cancel_nothing() -> None:
    ends = limited(bytes=60)
    ends.client(query("bad"))
    step = ends.server(NOTICE, answer("N", b"SNOTICE\0M.\0\0"), ends.refused_by_server(), READY)
    assert said(*step.data) == ["E", "Z"]
    assert not step.cancel
    assert ends.state.budget.usage.bytes == 0


def test_notices_of_planning_count_for_the_window_and_are_left_out_beyond() -> None:
    usage = Usage()
    ends = BothEnds(budget=Budget(Limits(window_bytes=len(NOTICE) + 1), usage))
    ends.client(parse("SELECT 1"), bind(), sync())
    step = ends.server(answer("1"), NOTICE, NOTICE, answer("2"), NOTICE, READY)
    assert said(*step.data) == ["1", "N", "2", "Z"]
    assert not step.cancel
    assert usage.bytes == len(NOTICE)


def test_where_nothing_limits_results_and_where_nothing_runs_notices_pass() -> None:
    for ends in (limited(bytes=1), limited(window_statements=1)):
        assert said(*ends.server(NOTICE).data) == ["N"]
    ends = limited(window_statements=1)
    ends.client(query("SELECT 1"))
    assert said(*ends.server(*[NOTICE] * 3, HEAD, command_complete("SELECT 0"), READY).data) == [*"NNNTCZ"]


@pytest.mark.parametrize("piece", [1, 3, 7, 50, 100, 1000])
def test_a_notice_that_comes_in_pieces_is_given_whole_or_not_at_all(piece: int) -> None:
    ends = limited(bytes=2 * len(NOTICE) + len(ROW))
    ends.client(query("SELECT 1"))
    whole = NOTICE * 2 + HEAD + ROW + NOTICE * 9 + ROW * 3 + CANCELLED + READY
    heard = b"".join(b"".join(ends.server(whole[at : at + piece]).data) for at in range(0, len(whole), piece))
    assert said(heard) == [*"NNTDEZ"]
    assert ends.outcomes == [("SELECT 1", "limited")]
