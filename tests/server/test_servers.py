"""Failover: the order of the hosts, which failures move on, and the control pool of the same server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from pgjit.errors import ServerNotAccepting, ServerUnavailable
from pgjit.server.dial import Address, resolve
from pgjit.server.login_error import LoginFailed
from pgjit.server.servers import Backend, Servers
from pgjit.server.target import Host, SessionAttrs
from pgjit.server.warm_logins import NextLogin
from pgwire.messages.query import command_complete
from pgwire.messages.results import encode_data_row
from tests.fakes.control_answers import answer_control, identified
from tests.fakes.scripted_server import (
    KEY,
    OK,
    READY,
    Peer,
    ScriptedServer,
    Step,
    close,
    fatal,
    send,
    startup,
    status,
    until_left,
)
from tests.fakes.targets import answering, logged_in, target_at

Resolve = Callable[[Host], Awaitable[list[Address]]]


def serving(*, standby: bool = False, version: str = "18.1", reports: bool = True) -> list[Step]:
    """A server for control connections and sessions; `reports`: it sends `in_hot_standby`."""

    async def play(peer: Any) -> None:
        kind = status("in_hot_standby", "on" if standby else "off") if reports else b""
        await peer.write(OK + status("server_version", version) + kind + KEY + READY)
        while (await peer.frame()).kind == ord("Q"):
            if peer.last.body == b"SELECT 1\0":  # of a session that takes a connection made ahead
                await peer.write(command_complete("SELECT 1") + READY)
                continue
            if b"default_transaction_read_only" in peer.last.body:
                row = encode_data_row((b"t" if standby else b"f", b"f"))
                await peer.write(row + command_complete("SELECT 1") + READY)
                continue
            await peer.write(answer_control(peer.last.body.decode(), present=lambda _: True))

    return [startup(), play]


async def _connect(servers: Servers) -> Backend:
    return await servers.connect(lambda major: {"application_name": f"for {major}"}, 5)


async def _refused(*scripts: list[Step], **changes: Any) -> tuple[ServerUnavailable, list[ScriptedServer]]:
    async with AsyncExitStack() as stack:
        played = [await stack.enter_async_context(ScriptedServer(script)) for script in scripts]
        servers = Servers(target_at(*played, **changes))
        stack.push_async_callback(servers.close)
        with pytest.raises(ServerUnavailable) as raised:
            await _connect(servers)
    return raised.value, played


@pytest.mark.parametrize(
    "first",
    [
        [close(reset=True)],
        [startup(), close()],
        [startup(), send(fatal("57P03", "the database system is starting up")), close()],
        [startup(), send(fatal("57P01", "terminating")), close()],
    ],
)
async def test_a_server_that_cannot_take_it_now_is_passed_over(first: list[Step]) -> None:
    async with ScriptedServer(first) as down, ScriptedServer(serving(version="14.2")) as up:
        servers = Servers(target_at(down, up))
        backend = await _connect(servers)
        assert backend.upstream.address.host.port == up.port
        assert up.peers[1].startup.parameters["application_name"] == "for 14", "the version is this server's"
        await backend.leave()
        await servers.close()


async def test_a_server_that_hangs_is_passed_over_after_its_time() -> None:
    async with ScriptedServer([startup(), until_left()]) as hangs, ScriptedServer(serving()) as up:
        servers = Servers(target_at(hangs, up, connect_timeout=2.0))
        backend = await _connect(servers)
        assert backend.upstream.address.host.port == up.port
        await backend.leave()
        await servers.close()


@pytest.mark.parametrize(
    "first",
    [
        [startup(), send(fatal("28P01", "password authentication failed")), close()],
        [startup(), send(fatal("3D000", "no such database")), close()],
        [startup(), send(b"HTTP/1.1 400 Bad Request")],
    ],
)
async def test_a_refusal_by_a_server_is_final(first: list[Step]) -> None:
    error, played = await _refused(first, serving())
    assert not isinstance(error, ServerNotAccepting)
    assert len(played[0].peers) == 1
    assert played[1].peers == []


async def test_the_error_tells_every_server_with_the_step_that_failed() -> None:
    down = [startup(), send(fatal("28000", "no entry")), close()]
    error, played = await _refused([startup(), close()], down)
    assert error.detail == (
        f"127.0.0.1:{played[0].port}: authenticating: the server closed the connection; "
        f"127.0.0.1:{played[1].port}: authenticating: the server reported 28000: no entry"
    )
    assert error.for_client().detail is None


@pytest.mark.parametrize(
    ("sqlstate", "said"),
    [("53300", "sorry, too many clients already"), ("57P03", "the database system is shutting down")],
)
async def test_a_server_that_accepts_no_session_now_is_reported_with_its_sqlstate(sqlstate: str, said: str) -> None:
    error, _ = await _refused([startup(), send(fatal(sqlstate, said)), close()], [close()])
    assert isinstance(error, ServerNotAccepting)
    assert (error.fields()["C"], error.message) == (sqlstate, said)


async def test_no_more_is_waited_than_the_login_may_take() -> None:
    async with ScriptedServer([startup(), until_left()]) as hangs:
        servers = Servers(target_at(*[hangs] * 10, connect_timeout=0.1))
        with pytest.raises(ServerUnavailable, match="cannot be used now") as raised:
            await servers.connect(lambda _: {}, 0.25)
        assert (raised.value.detail or "").endswith("all of them: logging in: no time left after 0.25 s")
        await servers.close()


async def test_a_session_whose_backend_is_not_seen_is_not_opened() -> None:
    blind = [*logged_in(), *identified(), *answering(None), until_left()]
    async with ScriptedServer(blind, [*logged_in(), until_left()], blind) as server:
        servers = Servers(target_at(server))
        with pytest.raises(ServerUnavailable, match="cannot be used"):
            await _connect(servers)
        await asyncio.wait_for(server.peers[1].left.wait(), 5)
        assert server.peers[1].rest == b"X\0\0\0\4", "the session was left politely"
        await servers.close()


async def test_a_server_without_cancel_keys_is_not_used() -> None:
    error, _ = await _refused([startup(), send(OK, status("server_version", "18"), READY)])
    assert "no cancel key" in (error.detail or "")


@pytest.mark.parametrize("reports", [True, False], ids=["in_hot_standby is reported", "it is asked for"])
@pytest.mark.parametrize(
    ("wanted", "kinds", "chosen"),
    [
        (SessionAttrs.PRIMARY, [True, False], 1),
        (SessionAttrs.READ_WRITE, [True, False], 1),
        (SessionAttrs.STANDBY, [False, True], 1),
        (SessionAttrs.READ_ONLY, [False, True], 1),
        (SessionAttrs.PREFER_STANDBY, [False, True], 1),
        (SessionAttrs.PREFER_STANDBY, [False, False], 0),
        (SessionAttrs.PRIMARY, [True, True], None),
        (SessionAttrs.READ_WRITE, [True], None),
        (SessionAttrs.STANDBY, [False, False], None),
        (SessionAttrs.READ_ONLY, [False], None),
    ],
)
async def test_the_first_server_of_the_wanted_kind_is_taken(
    wanted: SessionAttrs, kinds: list[bool], chosen: int | None, reports: bool
) -> None:
    async with AsyncExitStack() as stack:
        played = [
            await stack.enter_async_context(ScriptedServer(serving(standby=kind, reports=reports))) for kind in kinds
        ]
        servers = Servers(target_at(*played, session_attrs=wanted))
        stack.push_async_callback(servers.close)
        if chosen is None:
            with pytest.raises(ServerUnavailable) as raised:
                await _connect(servers)
            assert (raised.value.detail or "").count(f"looking for a server that is {wanted.value}") == len(kinds)
            return
        backend = await _connect(servers)
        assert backend.upstream.address.host.port == played[chosen].port
        await backend.leave()


async def test_a_server_with_an_unknown_role_is_skipped() -> None:
    mute = [*logged_in(), close()]
    async with ScriptedServer(mute) as first, ScriptedServer(serving()) as second:
        servers = Servers(target_at(first, second, session_attrs=SessionAttrs.PRIMARY))
        backend = await _connect(servers)
        assert backend.upstream.address.host.port == second.port
        await backend.leave()
        await servers.close()


async def test_a_server_that_became_a_standby_in_between_is_left() -> None:
    async def demoted(peer: Any) -> None:
        await startup()(peer)
        await peer.write(OK + status("server_version", "18") + KEY + status("in_hot_standby", "on") + READY)
        await until_left()(peer)

    control = serving(standby=False)
    async with ScriptedServer(control, [demoted]) as server:
        servers = Servers(target_at(server, session_attrs=SessionAttrs.PRIMARY))
        with pytest.raises(ServerUnavailable) as raised:
            await _connect(servers)
        assert "it is a standby" in (raised.value.detail or "")
        await asyncio.wait_for(server.peers[1].left.wait(), 5)
        await servers.close()


async def test_the_control_connection_is_kept_and_shared_by_the_sessions_of_a_server() -> None:
    async with ScriptedServer(serving()) as server:
        servers = Servers(target_at(server))
        first, second = await _connect(servers), await _connect(servers)
        assert first.control is second.control
        assert first.control.sessions == 2
        await first.leave()
        first.release()
        assert second.control.sessions == 1, "a session is given back once"
        controls = [peer for peer in server.peers if peer.startup.parameters["application_name"] == "pgjit control"]
        assert len(controls) == 1 + len(server.peers) - 3 <= 2, "one, and a spare one"
        await second.leave()
        await servers.close()


async def test_control_connections_that_nobody_needs_are_closed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgjit.server.servers._MOST_IDLE", 0)
    async with ScriptedServer(serving()) as old, ScriptedServer(serving()) as new:
        target = target_at(old, new)
        servers = Servers(target)
        backend = await _connect(servers)
        old_address = backend.upstream.address
        busy = servers._controls[old_address]
        await servers._acquire(type(old_address)(Host("db"), old_address.family, ("127.0.0.1", new.port)))
        assert busy in servers._controls.values(), "a session is on it"
        await backend.leave()
        await servers._acquire(type(old_address)(Host("db2"), old_address.family, ("127.0.0.1", new.port)))
        assert busy not in servers._controls.values()
        await asyncio.wait_for(old.peers[0].left.wait(), 5)
        await servers.close()


# --- logins made ahead ---


def _settings(_: int) -> dict[str, str]:
    return {"application_name": "ahead"}


def _sessions(server: ScriptedServer) -> list[Peer]:
    """The connections of sessions, and those made ahead."""
    return [each for each in server.peers if each.startup.parameters.get("application_name") == "ahead"]


async def _connect_again(servers: Servers) -> Backend:
    """One session of many that log in alike."""
    backend = await servers.connect(_settings, 5, frozenset(), NextLogin("alike", _settings, 600))
    while servers._warm._tasks:
        await asyncio.gather(*servers._warm._tasks)
    return backend


async def _no_such_name(host: Host) -> list[Address]:
    raise LoginFailed(str(host), "resolving", "it is not known", try_next=True)


async def _elsewhere(host: Host) -> list[Address]:
    return [Address(host, socket.AF_INET, ("127.0.0.2", host.port))]


@pytest.mark.parametrize("now", [_elsewhere, _no_such_name, resolve])
async def test_a_login_made_ahead_is_used_only_while_its_host_has_the_address(
    now: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(serving()) as server, ScriptedServer(serving()) as other, AsyncExitStack() as stack:
        servers = Servers(target_at(server, other, warm=1))
        stack.push_async_callback(servers.close)
        await (await _connect_again(servers)).leave()
        ahead = _sessions(server)[-1]
        asked: list[Host] = []

        async def resolved(host: Host) -> list[Address]:
            asked.append(host)
            return await (now if len(asked) == 1 else resolve)(host)

        monkeypatch.setattr("pgjit.server.servers.resolve", resolved)
        session = await servers.connect(_settings, 5, frozenset(), NextLogin("alike", _settings, 600))
        assert set(asked) == {Host("127.0.0.1", server.port)}, "no other host is looked up"
        if now is resolve:
            assert not ahead.left.is_set()
        else:
            await asyncio.wait_for(ahead.left.wait(), 5)
        await session.leave()
        await asyncio.wait_for(ahead.left.wait(), 5)


async def test_logins_made_ahead_give_way_to_a_session_that_the_server_has_no_room_for() -> None:
    full_with: list[Peer] = []

    async def room(peer: Peer) -> None:
        if peer in _sessions(server) and any(not each.left.is_set() for each in full_with):
            await peer.write(fatal("53300", "sorry, too many clients already"))
            raise ConnectionResetError

    async with ScriptedServer([startup(), room, *serving()[1:]]) as server, AsyncExitStack() as stack:
        servers = Servers(target_at(server, warm=1))
        stack.push_async_callback(servers.close)
        await (await _connect_again(servers)).leave()
        full_with.append(_sessions(server)[-1])
        session = await servers.connect(_settings, 5, frozenset(), NextLogin("another", _settings, 0))
        assert full_with[0].left.is_set()
        await session.leave()
        full_with.append(Peer(full_with[0].reader, full_with[0].writer))  # of somebody else: it does not leave
        with pytest.raises(ServerNotAccepting):
            await servers.connect(_settings, 5, frozenset(), NextLogin("another", _settings, 0))
