"""COPY from the client: data goes on when the server asked for it, and what follows waits until that is known."""

from __future__ import annotations

import pytest

from pgwire.messages.extended import sync
from pgwire.messages.query import command_complete, ready_for_query, terminate
from pgwire.reader import message
from tests.fakes.both_ends import BothEnds, answer, bind, close, describe, error, execute, parse, query

COPY = "COPY notes FROM STDIN"
ASKED = answer("G", b"\0\0\1\0\0")
ROW, DONE, GIVEN_UP = message(b"d", b"1\tx\n"), message(b"c"), message(b"f", b"no more\0")
FLUSH = message(b"H")
COPIED = command_complete("COPY 2")
READY = ready_for_query(b"I")
PREPARED = (parse(COPY), bind(), describe(), execute())
BEFORE = answer("1") + answer("2") + answer("n")


def copying() -> BothEnds:
    ends = BothEnds()
    assert ends.client(query(COPY)).data == query(COPY)
    assert ends.server(ASKED).fault is None
    return ends


def test_data_goes_on_once_the_server_asked_for_it_and_is_counted() -> None:
    ends = copying()
    plan = ends.client(ROW, ROW, DONE)
    assert plan.data == ROW + ROW + DONE
    assert plan.events == []
    ends.server(COPIED, READY)
    assert ends.outcomes == [(COPY, "completed")]
    assert (ends.last_outcome.rows, ends.last_outcome.received) == (2, 2 * len(ROW))
    assert ends.state.idle


def test_what_follows_a_copy_waits_for_the_servers_answer() -> None:
    ends = BothEnds()
    plan = ends.client(query(COPY), ROW, DONE, query("SELECT 1"))
    assert plan.data == query(COPY)
    assert [chr(frame.kind) for frame in plan.rest] == ["d", "c", "Q"]
    assert ends.executions == [(COPY, "allow")]
    ends.server(ASKED)
    assert ends.frames(plan.rest).data == ROW + DONE + query("SELECT 1")
    ends.server(COPIED, READY, command_complete("SELECT 1"), READY)
    assert ends.outcomes == [(COPY, "completed"), ("SELECT 1", "completed")]


def test_data_for_a_copy_that_failed_is_dropped_as_the_server_would() -> None:
    ends = BothEnds()
    plan = ends.client(query(COPY), ROW, DONE, query("SELECT 1"))
    ends.server(error("42P01", "no such table"))
    assert ends.frames(plan.rest).data == query("SELECT 1")
    assert ends.outcomes == [(COPY, "failed")]


def test_a_sync_sent_with_a_copy_is_ignored_while_it_takes_data() -> None:
    ends = BothEnds()
    plan = ends.client(*PREPARED, sync())
    assert plan.data == b"".join(PREPARED) + FLUSH  # or the answer would not come
    ends.server(BEFORE, ASKED)
    assert ends.frames(plan.rest).data == b""
    assert ends.client(ROW, FLUSH, ROW, sync(), DONE, sync()).data == ROW + ROW + DONE + sync()
    ends.server(COPIED, READY)
    assert ends.outcomes == [(COPY, "completed")]
    assert ends.state.idle


def test_a_sync_sent_with_a_copy_that_fails_at_once_is_answered() -> None:
    ends = BothEnds()
    plan = ends.client(*PREPARED, sync())
    ends.server(answer("1"), error("42501", "no right"))
    assert ends.frames(plan.rest).data == sync()
    assert ends.server(READY).fault is None
    assert ends.state.idle


def test_a_copy_that_fails_midway_is_skipped_to_the_next_sync() -> None:
    ends = BothEnds()
    ends.client(*PREPARED)
    ends.server(BEFORE, ASKED)
    ends.client(ROW)
    ends.server(error("22P02", "bad number"))
    assert ends.client(ROW, DONE, execute()).data == b""
    assert ends.client(sync()).data == sync()
    assert ends.server(READY).fault is None
    assert ends.outcomes == [(COPY, "failed")]
    assert ends.last_outcome.received == len(ROW)


def test_the_client_may_give_a_copy_up() -> None:
    ends = copying()
    assert ends.client(ROW, GIVEN_UP).data == ROW + GIVEN_UP
    assert ends.client(ROW).data == b""
    ends.server(error("57014", "COPY from stdin failed: no more"), READY)
    assert ends.outcomes == [(COPY, "failed")]


def test_several_copies_in_one_message_ask_one_after_the_other() -> None:
    both = f"{COPY}; COPY other FROM STDIN; SELECT 3"
    ends = BothEnds()
    plan = ends.client(query(both), ROW, DONE, ROW, DONE, query("SELECT 4"))
    ends.server(ASKED)
    plan = ends.frames(plan.rest)
    assert plan.data == ROW + DONE
    ends.server(COPIED, ASKED)
    plan = ends.frames(plan.rest)
    assert plan.data == ROW + DONE + query("SELECT 4")
    ends.server(COPIED, command_complete("SELECT 1"), READY)
    assert [ended for _, ended in ends.outcomes] == ["completed"] * 3


def test_a_refused_copy_offers_nothing_and_waits_for_nothing() -> None:
    ends = BothEnds()
    plan = ends.client(query("COPY bad FROM STDIN"), ROW, DONE, query("SELECT 1"))
    assert b"COPY" not in plan.data
    assert ROW not in plan.data
    assert plan.rest == ()
    assert ends.server(ASKED).fault is not None


@pytest.mark.parametrize("sent", [query("SELECT 1"), parse("SELECT 1"), bind(), execute(), close(), describe()])
def test_nothing_that_would_have_to_be_judged_goes_on_while_data_is_copied(sent: bytes) -> None:
    ends = copying()
    plan = ends.client(ROW, sent)
    assert plan.data == ROW
    assert plan.fault is not None
    assert plan.fault.message == f"unexpected message type 0x{sent[0]:02X} during COPY from stdin"


def test_goodbye_in_the_middle_of_a_copy_is_not_a_clean_one() -> None:
    ends = copying()
    assert ends.client(ROW, terminate()).goodbye
    assert not ends.state.idle
    assert ends.state.copy_in.active


@pytest.mark.parametrize(
    "broken", [message(b"c", b"x"), message(b"f", b"no end"), message(b"H", b"x"), message(b"S", b"x")]
)
def test_a_malformed_end_of_copy_ends_the_session(broken: bytes) -> None:
    plan = copying().client(broken)
    assert plan.fault is not None
    assert plan.data == b""


def test_a_data_message_goes_on_in_pieces_and_to_its_end_even_when_the_copy_has_failed() -> None:
    ends = copying()
    large = message(b"d", b"x" * 1000)
    assert ends.client(large[:10]).data == large[:10]
    ends.server(error("22P02", "bad number"), READY)
    assert ends.client(large[10:] + ROW).data == large[10:]


def test_a_data_message_that_began_outside_a_copy_is_dropped_to_its_end() -> None:
    ends = BothEnds()
    large = message(b"d", b"x" * 1000)
    assert ends.client(large[:10]).data == b""
    assert ends.client(large[10:] + query("SELECT 1")).data == query("SELECT 1")


def test_giving_up_says_so_to_the_server_only_while_it_takes_data() -> None:
    ends = BothEnds()
    assert ends.state.copy_in.give_up(b"over") == b""
    ends = copying()
    assert ends.state.copy_in.give_up(b"over") == message(b"f", b"over\0")


def test_a_statement_that_asks_for_data_and_may_not_ends_the_session() -> None:
    ends = BothEnds()
    ends.client(query("SELECT 1"))
    step = ends.server(ASKED)
    assert step.fault is not None
    assert not ends.state.copy_in.active


def test_an_unread_message_may_ask_for_data_and_what_follows_it_waits_for_its_end() -> None:
    ends = BothEnds(unrestricted=True)
    plan = ends.client(query("unread; unread"), ROW, DONE, query("SELECT 1"))
    assert plan.data == query("unread; unread")
    ends.server(ASKED)
    plan = ends.frames(plan.rest)
    assert plan.data == ROW + DONE
    ends.server(COPIED, command_complete("DO"))
    assert ends.frames(plan.rest).data == b""
    ends.server(READY)
    assert ends.frames(plan.rest).data == query("SELECT 1")


def test_an_unread_execution_waits_with_a_flush_and_no_longer_than_its_answer() -> None:
    ends = BothEnds(unrestricted=True)
    plan = ends.client(parse("unread"), bind(), execute(), sync())
    assert plan.data.endswith(execute() + FLUSH)
    ends.server(answer("1"), answer("2"), command_complete("DO"))
    assert ends.frames(plan.rest).data == sync()


def test_a_copy_that_could_not_be_recorded_offers_nothing() -> None:
    ends = BothEnds()
    plan = ends.client(query(COPY), ROW, DONE)
    sent = ends.state.withdraw(plan)
    assert b"COPY" not in sent
    assert ends.frames(plan.rest).data == b""
    ends.server(ends.refused_by_server(), READY)
    assert ends.state.idle


def test_a_sync_behind_data_that_the_server_does_not_like_is_sent_after_all() -> None:
    ends = BothEnds()
    ends.client(*PREPARED)
    ends.server(BEFORE, ASKED)
    assert ends.client(ROW, sync()).data == ROW
    step = ends.server(error("22P02", "bad number"))
    assert step.to_server == sync()
    assert ends.server(READY).fault is None
    assert ends.state.idle


def test_a_flood_of_syncs_during_a_copy_ends_the_session() -> None:
    assert copying().client(ROW, *[sync()] * 101).fault is not None
