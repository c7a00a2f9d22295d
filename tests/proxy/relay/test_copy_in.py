"""COPY from the client: data goes on when the server asked for it, and what follows waits until that is known."""

from __future__ import annotations

import pytest

from pgwire.messages.extended import sync
from pgwire.messages.query import command_complete, ready_for_query, terminate
from pgwire.reader import message
from tests.fakes.talk import Talk, answer, bind, close, describe, error, execute, parse, query

COPY = "COPY notes FROM STDIN"
ASKED = answer("G", b"\0\0\1\0\0")
ROW, DONE, GIVEN_UP = message(b"d", b"1\tx\n"), message(b"c"), message(b"f", b"no more\0")
FLUSH = message(b"H")
COPIED = command_complete("COPY 2")
READY = ready_for_query(b"I")
PREPARED = (parse(COPY), bind(), describe(), execute())
BEFORE = answer("1") + answer("2") + answer("n")


def copying() -> Talk:
    talk = Talk()
    assert talk.client(query(COPY)).data == query(COPY)
    assert talk.server(ASKED).fault is None
    return talk


def test_data_goes_on_once_the_server_asked_for_it_and_is_counted() -> None:
    talk = copying()
    plan = talk.client(ROW, ROW, DONE)
    assert plan.data == ROW + ROW + DONE
    assert plan.events == []
    talk.server(COPIED, READY)
    assert talk.outcomes == [(COPY, "completed")]
    assert (talk.last_outcome.rows, talk.last_outcome.received) == (2, 2 * len(ROW))
    assert talk.relay.idle


def test_what_follows_a_copy_waits_for_the_servers_answer() -> None:
    talk = Talk()
    plan = talk.client(query(COPY), ROW, DONE, query("SELECT 1"))
    assert plan.data == query(COPY)
    assert [chr(frame.kind) for frame in plan.rest] == ["d", "c", "Q"]
    assert talk.executions == [(COPY, "allow")]
    talk.server(ASKED)
    assert talk.frames(plan.rest).data == ROW + DONE + query("SELECT 1")
    talk.server(COPIED, READY, command_complete("SELECT 1"), READY)
    assert talk.outcomes == [(COPY, "completed"), ("SELECT 1", "completed")]


def test_data_for_a_copy_that_failed_is_dropped_as_the_server_would() -> None:
    talk = Talk()
    plan = talk.client(query(COPY), ROW, DONE, query("SELECT 1"))
    talk.server(error("42P01", "no such table"))
    assert talk.frames(plan.rest).data == query("SELECT 1")
    assert talk.outcomes == [(COPY, "failed")]


def test_a_sync_sent_with_a_copy_is_ignored_while_it_takes_data() -> None:
    talk = Talk()
    plan = talk.client(*PREPARED, sync())
    assert plan.data == b"".join(PREPARED) + FLUSH  # or the answer would not come
    talk.server(BEFORE, ASKED)
    assert talk.frames(plan.rest).data == b""
    assert talk.client(ROW, FLUSH, ROW, sync(), DONE, sync()).data == ROW + ROW + DONE + sync()
    talk.server(COPIED, READY)
    assert talk.outcomes == [(COPY, "completed")]
    assert talk.relay.idle


def test_a_sync_sent_with_a_copy_that_fails_at_once_is_answered() -> None:
    talk = Talk()
    plan = talk.client(*PREPARED, sync())
    talk.server(answer("1"), error("42501", "no right"))
    assert talk.frames(plan.rest).data == sync()
    assert talk.server(READY).fault is None
    assert talk.relay.idle


def test_a_copy_that_fails_midway_is_skipped_to_the_next_sync() -> None:
    talk = Talk()
    talk.client(*PREPARED)
    talk.server(BEFORE, ASKED)
    talk.client(ROW)
    talk.server(error("22P02", "bad number"))
    assert talk.client(ROW, DONE, execute()).data == b""
    assert talk.client(sync()).data == sync()
    assert talk.server(READY).fault is None
    assert talk.outcomes == [(COPY, "failed")]
    assert talk.last_outcome.received == len(ROW)


def test_the_client_may_give_a_copy_up() -> None:
    talk = copying()
    assert talk.client(ROW, GIVEN_UP).data == ROW + GIVEN_UP
    assert talk.client(ROW).data == b""
    talk.server(error("57014", "COPY from stdin failed: no more"), READY)
    assert talk.outcomes == [(COPY, "failed")]


def test_several_copies_in_one_message_ask_one_after_the_other() -> None:
    both = f"{COPY}; COPY other FROM STDIN; SELECT 3"
    talk = Talk()
    plan = talk.client(query(both), ROW, DONE, ROW, DONE, query("SELECT 4"))
    talk.server(ASKED)
    plan = talk.frames(plan.rest)
    assert plan.data == ROW + DONE
    talk.server(COPIED, ASKED)
    plan = talk.frames(plan.rest)
    assert plan.data == ROW + DONE + query("SELECT 4")
    talk.server(COPIED, command_complete("SELECT 1"), READY)
    assert [ended for _, ended in talk.outcomes] == ["completed"] * 3


def test_a_refused_copy_offers_nothing_and_waits_for_nothing() -> None:
    talk = Talk()
    plan = talk.client(query("COPY bad FROM STDIN"), ROW, DONE, query("SELECT 1"))
    assert b"COPY" not in plan.data
    assert ROW not in plan.data
    assert plan.rest == ()
    assert talk.server(ASKED).fault is not None


@pytest.mark.parametrize("sent", [query("SELECT 1"), parse("SELECT 1"), bind(), execute(), close(), describe()])
def test_nothing_that_would_have_to_be_judged_goes_on_while_data_is_copied(sent: bytes) -> None:
    talk = copying()
    plan = talk.client(ROW, sent)
    assert plan.data == ROW
    assert plan.fault is not None
    assert plan.fault.message == f"unexpected message type 0x{sent[0]:02X} during COPY from stdin"


def test_goodbye_in_the_middle_of_a_copy_is_not_a_clean_one() -> None:
    talk = copying()
    assert talk.client(ROW, terminate()).goodbye
    assert not talk.relay.idle
    assert talk.relay.copy_in.active


@pytest.mark.parametrize(
    "broken", [message(b"c", b"x"), message(b"f", b"no end"), message(b"H", b"x"), message(b"S", b"x")]
)
def test_a_malformed_end_of_copy_ends_the_session(broken: bytes) -> None:
    plan = copying().client(broken)
    assert plan.fault is not None
    assert plan.data == b""


def test_a_data_message_goes_on_in_pieces_and_to_its_end_even_when_the_copy_has_failed() -> None:
    talk = copying()
    large = message(b"d", b"x" * 1000)
    assert talk.client(large[:10]).data == large[:10]
    talk.server(error("22P02", "bad number"), READY)
    assert talk.client(large[10:] + ROW).data == large[10:]


def test_a_data_message_that_began_outside_a_copy_is_dropped_to_its_end() -> None:
    talk = Talk()
    large = message(b"d", b"x" * 1000)
    assert talk.client(large[:10]).data == b""
    assert talk.client(large[10:] + query("SELECT 1")).data == query("SELECT 1")


def test_giving_up_says_so_to_the_server_only_while_it_takes_data() -> None:
    talk = Talk()
    assert talk.relay.copy_in.give_up(b"over") == b""
    talk = copying()
    assert talk.relay.copy_in.give_up(b"over") == message(b"f", b"over\0")


def test_a_statement_that_asks_for_data_and_may_not_ends_the_session() -> None:
    talk = Talk()
    talk.client(query("SELECT 1"))
    step = talk.server(ASKED)
    assert step.fault is not None
    assert not talk.relay.copy_in.active


def test_an_unread_message_may_ask_for_data_and_what_follows_it_waits_for_its_end() -> None:
    talk = Talk(unrestricted=True)
    plan = talk.client(query("unread; unread"), ROW, DONE, query("SELECT 1"))
    assert plan.data == query("unread; unread")
    talk.server(ASKED)
    plan = talk.frames(plan.rest)
    assert plan.data == ROW + DONE
    talk.server(COPIED, command_complete("DO"))
    assert talk.frames(plan.rest).data == b""
    talk.server(READY)
    assert talk.frames(plan.rest).data == query("SELECT 1")


def test_an_unread_execution_waits_with_a_flush_and_no_longer_than_its_answer() -> None:
    talk = Talk(unrestricted=True)
    plan = talk.client(parse("unread"), bind(), execute(), sync())
    assert plan.data.endswith(execute() + FLUSH)
    talk.server(answer("1"), answer("2"), command_complete("DO"))
    assert talk.frames(plan.rest).data == sync()


def test_a_copy_that_could_not_be_recorded_offers_nothing() -> None:
    talk = Talk()
    plan = talk.client(query(COPY), ROW, DONE)
    sent = talk.relay.withdraw(plan)
    assert b"COPY" not in sent
    assert talk.frames(plan.rest).data == b""
    talk.server(talk.refused_by_server(), READY)
    assert talk.relay.idle


def test_a_sync_behind_data_that_the_server_does_not_like_is_sent_after_all() -> None:
    talk = Talk()
    talk.client(*PREPARED)
    talk.server(BEFORE, ASKED)
    assert talk.client(ROW, sync()).data == ROW
    step = talk.server(error("22P02", "bad number"))
    assert step.to_server == sync()
    assert talk.server(READY).fault is None
    assert talk.relay.idle


def test_a_flood_of_syncs_during_a_copy_ends_the_session() -> None:
    assert copying().client(ROW, *[sync()] * 101).fault is not None
