"""A reserve login: it is paused before the proof, and completes on demand."""

from __future__ import annotations

import asyncio

import pytest

from pgjit.server.control_pool import ControlPool
from pgjit.server.control_settings import NEWEST, control_settings
from pgjit.server.login_error import LoginFailed
from pgjit.server.reserve_login import ReserveLogin
from pgwire.messages.query import command_complete
from tests.fakes.control_answers import answer_control
from tests.fakes.scripted_server import (
    KEY,
    OK,
    READY,
    Peer,
    ScriptedServer,
    Step,
    authentication,
    close,
    expect,
    fatal,
    send,
    startup,
    status,
    until_left,
)
from tests.fakes.targets import WELCOME, address_of, scram, target_at

_AFTER_OK = status("server_version", "18.1") + KEY + READY


def _reserve(server: ScriptedServer) -> ReserveLogin:
    return ReserveLogin(target_at(server), address_of(server), control_settings(NEWEST))


@pytest.mark.parametrize(
    ("asked", "before", "after"),
    [
        ([scram(), send(OK + _AFTER_OK)], 1, 2),  # the first message of SCRAM proves nothing yet
        ([send(authentication(5, b"salt")), expect("p"), send(OK + _AFTER_OK)], 0, 1),
    ],
    ids=["SCRAM", "MD5"],
)
async def test_its_proof_is_sent_when_it_is_wanted(asked: list[Step], before: int, after: int) -> None:
    async with ScriptedServer([startup(), *asked, until_left()]) as server:
        reserve = _reserve(server)
        assert await reserve.wait_until_paused()
        assert len(server.peers[0].frames) == before
        upstream = await reserve.complete()
        assert len(server.peers[0].frames) == after
        assert upstream.server_version == "18.1"
        await upstream.leave()


async def test_a_server_that_asks_for_no_secret_has_nothing_to_wait_for() -> None:
    async with ScriptedServer([startup(), send(WELCOME), until_left()]) as server:
        reserve = _reserve(server)
        assert not await reserve.wait_until_paused()
        await reserve.discard()
        await asyncio.wait_for(server.peers[0].left.wait(), 5)
        assert server.peers[0].rest == b"X\0\0\0\4"


async def test_one_that_the_server_has_given_up_is_of_no_use() -> None:
    async with ScriptedServer([startup(), send(authentication(5, b"salt")), close()]) as server:
        reserve = _reserve(server)
        assert await reserve.wait_until_paused()
        await server.peers[0].left.wait()
        with pytest.raises(LoginFailed):
            await reserve.complete()


async def test_dropped_it_sends_no_proof() -> None:
    async with ScriptedServer([startup(), send(authentication(5, b"salt")), until_left()]) as server:
        reserve = _reserve(server)
        assert await reserve.wait_until_paused()
        await reserve.discard()
        await asyncio.wait_for(server.peers[0].left.wait(), 5)
        assert server.peers[0].rest == b""


async def test_a_control_connection_comes_of_it_where_no_other_login_is_taken() -> None:
    async def answering(peer: Peer) -> None:
        while (await peer.frame()).kind == ord("Q"):
            await peer.write(answer_control(peer.last.body.decode(), present=lambda _: True) or command_complete("x"))

    kept: list[Step] = [startup(), send(authentication(5, b"salt")), expect("p"), send(OK + _AFTER_OK), answering]
    refused: list[Step] = [startup(), send(fatal("28P01", "no")), close()]
    async with ScriptedServer(kept, refused) as server:
        control = ControlPool(target_at(server), address_of(server))
        await control.hold_reserve()
        assert len(server.peers) == 1
        assert (await control.identify(4711)).pid == 4711
        assert len(server.peers) == 2
        await control.close()
