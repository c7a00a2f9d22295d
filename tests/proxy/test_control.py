"""The control connection: its questions, and what happens to it when it dies or hangs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.proxy.attempt import LoginFailed
from pgjit.proxy.control import Control, Role
from pgwire.messages.query import command_complete, error_response
from pgwire.messages.results import encode_data_row
from pgwire.reader import message
from tests.fakes.scripted_server import (
    KEY,
    OK,
    READY,
    ScriptedServer,
    close,
    expect,
    fatal,
    notice,
    send,
    startup,
    status,
    until_left,
)
from tests.fakes.targets import address_of, answering, logged_in, target_at

STARTED = datetime(2026, 11, 24, 9, 30, 0, 123456, tzinfo=UTC)
NO_ROWS = command_complete("SELECT 0") + READY


def _control(server: ScriptedServer, deadline: float = 5.0) -> Control:
    return Control(target_at(server), address_of(server), deadline=deadline)


async def test_a_backend_is_named_by_pid_and_start_time() -> None:
    script = [*logged_in(), *answering("2026-11-24T09:30:00.123456", "t", "1", None), until_left()]
    async with ScriptedServer(script) as server:
        control = _control(server)
        assert await control.started(4711) == STARTED
        assert await control.terminate(4711, STARTED)
        assert not await control.gone(4711, STARTED)
        assert await control.gone(4711, STARTED)
        await control.close()
        asked = [frame.body.decode() for frame in server.peers[0].frames]
    assert all("pid = 4711" in sql for sql in asked)
    assert all("backend_start = timestamptz '2026-11-24T09:30:00.123456+00:00'" in sql for sql in asked[1:])
    assert len(server.peers) == 1, "one connection for all of it"


async def test_a_backend_that_was_gone_already_was_not_terminated() -> None:
    async with ScriptedServer([*logged_in(), *answering(None), until_left()]) as server:
        control = _control(server)
        assert not await control.terminate(4711, STARTED)
        await control.close()


async def test_a_backend_that_is_not_seen_is_no_place_for_a_session() -> None:
    async with ScriptedServer([*logged_in(), *answering(None), until_left()]) as server:
        control = _control(server)
        with pytest.raises(ServerUnavailable) as told:
            await control.started(4711)
        assert "pooler" in (told.value.hint or "")
        await control.close()


async def test_it_tells_the_version_and_whether_the_server_is_a_standby() -> None:
    def role(*values: bytes) -> bytes:
        return encode_data_row(values) + NO_ROWS

    answers = [(role(b"f", b"f"), Role(False, False)), (role(b"f", b"t"), Role(False, True)),
               (role(b"t", b"f"), Role(True, True))]  # fmt: skip
    script = [*logged_in(), *(step for sent, _ in answers for step in (expect("Q"), send(sent))), until_left()]
    async with ScriptedServer(script) as server:
        control = _control(server)
        assert await control.version() == 18
        assert [await control.role() for _ in answers] == [expected for _, expected in answers]
        await control.close()


async def test_a_server_without_a_version_is_not_used() -> None:
    async with ScriptedServer([startup(), send(OK, KEY, READY), until_left()]) as server:
        control = _control(server)
        with pytest.raises(LoginFailed, match="does not tell its version"):
            await control.version()
        await control.close()


async def test_what_a_server_says_of_itself_between_answers_is_no_answer() -> None:
    unasked = status("TimeZone", "UTC") + notice("careful") + message(b"A", b"\0\0\0\1c\0p\0")
    script = [
        *logged_in(),
        expect("Q"),
        send(unasked + NO_ROWS),
        send(unasked),
        expect("Q"),
        send(NO_ROWS),
        until_left(),
    ]
    async with ScriptedServer(script) as server:
        control = _control(server)
        assert await control.gone(1, STARTED)
        assert await control.gone(1, STARTED)
        assert len(server.peers) == 1
        await control.close()


async def test_a_connection_that_died_is_made_anew() -> None:
    dies = [*logged_in(), *answering("1"), close()]
    async with ScriptedServer(dies, [*logged_in(), *answering(None), until_left()]) as server:
        control = _control(server)
        assert not await control.gone(1, STARTED)
        assert await control.gone(1, STARTED)
        assert len(server.peers) == 2
        await control.close()


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (error_response({"S": "ERROR", "C": "42501", "M": "permission denied"}) + READY, "42501: permission denied"),
        (b"Z\0\0\0\1", "message of type 'Z' with length 1"),
        (message(b"D", b"\0\2\0\0\0\1x"), "message is shorter than its contents say"),
        (message(b"G", b"\0\0\0"), "message of type 'G' in the answer to a question"),
        (fatal("57P01", "terminating"), "no answer"),
        (b"", "no answer"),
    ],
)
async def test_a_question_without_an_answer_is_asked_twice_and_then_told(reply: bytes, detail: str) -> None:
    async with ScriptedServer([*logged_in(), expect("Q"), send(reply), until_left()]) as server:
        control = _control(server, deadline=0.1)
        with pytest.raises(ServerUnavailable) as told:
            await control.gone(1, STARTED)
        assert told.value.detail == f"control connection to 127.0.0.1:{server.port} failed ({detail})"
        assert len(server.peers) == 2
        await control.close()


async def test_who_gives_up_leaves_no_answer_behind_for_the_next_one() -> None:
    """INVARIANT: an answer is never taken for the answer to another question."""
    asked = asyncio.Event()

    async def half_an_answer(peer: object) -> None:
        asked.set()

    first = [*logged_in(), expect("Q"), half_an_answer, send(message(b"D", b"\0\1\0\0\0\1x")), until_left()]
    async with ScriptedServer(first, [*logged_in(), *answering(None, None), until_left()]) as server:
        control = _control(server)
        given_up = asyncio.create_task(control.gone(1, STARTED))
        waiting = asyncio.create_task(control.gone(2, STARTED))
        await asked.wait()
        given_up.cancel()
        assert await waiting, "no row: the other one's row was not taken"
        assert await control.gone(3, STARTED)
        await control.close()


async def test_those_who_wait_for_one_connection_fail_together() -> None:
    async with ScriptedServer([startup(), until_left()]) as server:
        target = target_at(server, connect_timeout=0.2)
        control = Control(target, address_of(server))
        failed = await asyncio.gather(*(control.version() for _ in range(20)), return_exceptions=True)
        assert {str(fault) for fault in failed} == {
            f"127.0.0.1:{server.port}: authenticating: no answer within 0.2 s"
        }
        assert len(server.peers) == 1
        await control.close()


async def test_closing_stops_a_login_that_is_under_way() -> None:
    async with ScriptedServer([startup(), until_left()]) as server:
        control = _control(server)
        opening = asyncio.create_task(control.version())
        while not server.peers:
            await asyncio.sleep(0)
        await control.close()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await asyncio.wait_for(server.peers[0].left.wait(), 5)
