"""The listener, on both event loops: time limits, connection limits, floods, and what is recorded of them."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from datetime import datetime
from pathlib import Path

import pytest

from pgjit.proxy import listener
from pgjit.proxy.listener import Listener
from pgjit.proxy.services import ProxyLimits
from pgwire.messages.startup import (
    encode_cancel,
    encode_gss_request,
    encode_ssl_request,
    encode_startup,
)
from tests.fakes.door import Door
from tests.fakes.scripted_client import ScriptedClient
from tests.run.waiting import a_while, until
from tests.run.work import calls_async

STARTUP = encode_startup({"user": "ann", "database": "shop"})
SSL, GSS = encode_ssl_request(), encode_gss_request()


async def received(door: Door, *pieces: bytes) -> bytes:
    """The answer of the listener to plain bytes, until it closes."""
    async with await ScriptedClient.open(door.port) as client:
        for piece in pieces:
            await client.send(piece)
        heard = b""
        while data := await client.receive():
            heard += data
        return heard


def most_of_an_address(records: list[dict[str, object]]) -> float:
    """The most records of its refusals in the time of these: ten a second, and one with the count of the others."""
    times = [datetime.fromisoformat(str(record["time"])) for record in records]
    return 11 * ((max(times) - min(times)).total_seconds() + 1)


async def test_a_port_that_is_taken_is_named_in_the_error(tmp_path: Path) -> None:
    async with Door(tmp_path) as door:
        with pytest.raises(OSError, match=f"in use: '127.0.0.1:{door.port}'"):
            await Listener(door.services, door._context).open("127.0.0.1", door.port)


# --- limits --------------------------------------------------------------------------------------------


STAGES = ["nothing", "half a length", "half a request", "after S", "half a ClientHello", "in TLS", "half a startup"]


async def get_to(client: ScriptedClient, door: Door, stage: str) -> None:
    match STAGES.index(stage):
        case 0:
            return
        case 1:
            await client.send(SSL[:2])
        case 2:
            await client.send(SSL[:6])
        case 3:
            await client.request_encryption(SSL)
        case 4:
            await client.request_encryption(SSL)
            await client.send(b"\x16\x03\x01\x02\0\x01")
        case 5:
            await client.start_tls(door.trust)
        case 6:
            await client.start_tls(door.trust)
            await client.send(STARTUP[:9])


async def test_a_silent_client_is_let_go_at_every_step_and_holds_up_nobody(tmp_path: Path) -> None:
    async with Door(tmp_path, ProxyLimits(handshake_seconds=2)) as door:
        clients = [await ScriptedClient.open(door.port) for _ in STAGES]
        for client, stage in zip(clients, STAGES, strict=True):
            await get_to(client, door, stage)
        quick = await received(door, STARTUP)
        assert b"28000" in quick
        for client in clients:
            async with client:
                assert await asyncio.wait_for(client.ended(), 60)
        await door.empty()
        assert door.references.count("handshake-failed") == len(STAGES)


async def test_a_client_that_sends_a_byte_now_and_then_times_out_too(tmp_path: Path) -> None:
    async with Door(tmp_path, ProxyLimits(handshake_seconds=2)) as door:
        async with await ScriptedClient.open(door.port) as client:
            assert await client.request_encryption(SSL) == b"S"
            client.piece, client.pause = 1, 0.05
            with pytest.raises((ConnectionError, ssl.SSLError)):
                await client.start_tls(door.trust, direct=True)
        await door.empty()
        assert door.references == ["handshake-failed"]


async def test_one_deadline_holds_for_all_steps_of_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines: list[float | None] = []
    timeout_at = asyncio.timeout_at

    def noted(when: float | None) -> asyncio.Timeout:
        deadlines.append(when)
        return timeout_at(when)

    monkeypatch.setattr(asyncio, "timeout_at", noted)
    async with Door(tmp_path, ProxyLimits(handshake_seconds=5)) as door:
        async with await ScriptedClient.open(door.port) as client:
            await client.start_tls(door.trust)
            await client.send(STARTUP)
            assert (await client.frame()) == ("R", b"\0\0\0\x03")
            assert (await client.error())["M"] == "login took too long"
        await door.empty()
    assert len(set(deadlines)) == 1


async def test_an_address_above_its_limit_gets_an_error_and_then_is_closed(tmp_path: Path) -> None:
    async with Door(tmp_path, ProxyLimits(connections_per_address=2)) as door:
        held = [await ScriptedClient.open(door.port) for _ in range(2)]
        await until(lambda: door.listener.connections >= 2)
        async with await ScriptedClient.open(door.port) as refused:
            await refused.start_tls(door.trust)
            await refused.send(STARTUP)
            error = await refused.error()
            assert (error["S"], error["C"], error["R"]) == ("FATAL", "53300", "pgjit:too-many-connections-of-address")
            assert "At most 2" in error["D"]
            assert error["H"]
        async with await ScriptedClient.open(door.port) as cancelling:
            await cancelling.start_tls(door.trust)
            await cancelling.send(encode_cancel(1, b"1234"))
            assert await cancelling.ended()
        await until(lambda: door.listener.connections <= 2)
        crowd = [await ScriptedClient.open(door.port) for _ in range(8 + 30)]
        ends = [asyncio.create_task(client.ended()) for client in crowd[8:]]
        assert all(await asyncio.wait_for(asyncio.gather(*ends), 5))
        assert door.listener.connections == 10
        for client in [*held, *crowd]:
            async with client:
                pass
        await door.empty()
        async with await ScriptedClient.open(door.port) as welcome:
            await welcome.start_tls(door.trust)
            await welcome.send(STARTUP)
            assert await welcome.frame() == ("R", b"\0\0\0\x03")
        await door.empty()
    turned = [r for r in door.refused if r["reference"] == "too-many-connections-of-address"]
    assert sum(int(str(r["count"])) for r in turned) == 1 + 30
    after_tls, before_tls = turned[0], turned[1:]  # the first has a record of its own, whatever the others do
    assert after_tls["count"] == 1
    assert len(before_tls) <= most_of_an_address(before_tls)
    assert {r["sqlstate"] for r in turned} == {"53300"}


async def test_above_the_limit_of_all_connections_a_client_gets_an_error(tmp_path: Path) -> None:
    async with Door(tmp_path, ProxyLimits(connections=1)) as door, await ScriptedClient.open(door.port):
        await until(lambda: door.listener.connections >= 1)
        async with await ScriptedClient.open(door.port) as refused:
            await refused.start_tls(door.trust)
            await refused.send(STARTUP)
            assert (await refused.error())["R"] == "pgjit:too-many-connections"


async def test_a_flood_does_not_flood_the_journal_and_is_not_lost(tmp_path: Path) -> None:
    async with Door(tmp_path) as door:
        for _ in range(200):
            async with await ScriptedClient.open(door.port) as client:
                await client.send(SSL[:1])
                client.reset()
        await door.empty()
        await asyncio.sleep(0)
    counts = [int(str(record["count"])) for record in door.refused]
    assert sum(counts) == 200
    assert len(counts) <= most_of_an_address(door.refused)
    assert max(counts) > 1
    assert {str(r["source"]) for r in door.refused if r["count"] != 1} == {"127.0.0.1"}


async def test_out_of_file_descriptors_it_waits_without_being_busy(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    client = await ScriptedClient.open(door.port)  # before: it takes a descriptor too
    async with client:
        assert await client.request_encryption(SSL) == b"S"
    late = socket.socket()
    late.setblocking(False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    await door.empty()
    resource.setrlimit(resource.RLIMIT_NOFILE, (late.fileno() + 1, hard))
    try:
        fillers: list[socket.socket] = []
        with pytest.raises(OSError, match="Too many open files"):
            fillers.extend(iter(socket.socket, None))
        with caplog.at_level(logging.WARNING):
            await asyncio.get_running_loop().sock_connect(late, ("127.0.0.1", door.port))
            await until(lambda: "no connection can be accepted" in caplog.text)
            assert await calls_async(a_while(0.5)) < 1_000  # a busy loop makes more calls in a few milliseconds
            assert caplog.text.count("no connection can be accepted") == 1
        for filler in fillers:
            filler.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with late:
        await asyncio.get_running_loop().sock_sendall(late, SSL)
        assert await asyncio.get_running_loop().sock_recv(late, 1) == b"S"


async def test_a_login_that_a_shutdown_cuts_off_is_recorded(tmp_path: Path) -> None:
    async with Door(tmp_path) as door:
        clients = [await ScriptedClient.open(door.port) for _ in [*STAGES, "asked"]]
        for client, stage in zip(clients, STAGES, strict=False):
            await get_to(client, door, stage)
        await clients[-1].start_tls(door.trust)
        await clients[-1].send(STARTUP)
        assert await clients[-1].frame() == ("R", b"\0\0\0\x03")
        await until(lambda: door.listener.connections >= len(clients))
    assert door.references == ["shutting-down"] * len(clients)
    assert door.listener.connections == 0
    for client in clients[:-1]:
        async with client:
            assert await client.ended()
    assert (await clients[-1].error())["C"] == "57P03"
    clients[-1].reset()


async def test_a_client_that_vanishes_is_going_to_be_noticed(door: Door) -> None:
    async with await ScriptedClient.open(door.port) as client:
        await client.start_tls(door.trust)
        with _accepted_from(client.address) as served:
            assert served.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 180_000
                assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


def _accepted_from(address: object) -> socket.socket:
    """The door's own side of the connection from `address`, in this process."""
    for descriptor in range(3, 1024):
        try:
            found = socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM)
        except OSError:
            continue
        try:
            if found.getpeername() == address:
                return found
        except OSError:
            pass
        found.close()
    raise AssertionError("there is no such connection")


async def test_a_full_listener_is_logged_once_and_once_more_when_it_has_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "pgjit.listener"):
        async with Door(tmp_path, ProxyLimits(connections=3)) as door:
            clients = [await ScriptedClient.open(door.port) for _ in range(6)]
            await until(lambda: door.listener.connections >= 6)
            for client in clients:
                async with client:
                    pass
            await door.empty()
    said = [record.message for record in caplog.records]
    assert said == ["all 3 connections are taken: no more clients are served", "clients are served again"]


async def test_a_connection_accepted_only_for_an_error_times_out_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_REFUSE_SECONDS", 0.05)
    async with Door(tmp_path, ProxyLimits(connections=1)) as door, await ScriptedClient.open(door.port):
        await until(lambda: door.listener.connections >= 1)
        async with await ScriptedClient.open(door.port) as silent:
            assert await silent.ended()
        await until(lambda: door.listener.connections <= 1)


async def test_clients_that_are_connected_when_the_drain_begins_are_served_and_not_dropped(tmp_path: Path) -> None:
    async with Door(tmp_path) as door:
        with socket.create_connection(("127.0.0.1", door.port)) as waiting:  # in the backlog: the loop does not run
            draining = asyncio.create_task(door.listener.drain(60))
            await asyncio.sleep(0)
            waiting.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(waiting, STARTUP)
            answer = await asyncio.get_running_loop().sock_recv(waiting, 1000)
        assert b"28000" in answer
        await draining


async def test_while_balancers_find_out_connections_are_accepted_and_a_second_signal_ends_that(
    tmp_path: Path,
) -> None:
    async with Door(tmp_path) as door:
        at_once = asyncio.Event()
        draining = asyncio.create_task(door.listener.drain(60, 3600, at_once))
        await until(lambda: not door.listener.accepting)
        assert door.listener.stopping
        assert b"28000" in await received(door, STARTUP)
        async with await ScriptedClient.open(door.port) as client:
            await client.start_tls(door.trust)
            await client.send(STARTUP)
            assert await client.frame() == ("R", b"\0\0\0\x03")
            at_once.set()
            error = await client.error()
        assert (error["S"], error["C"], error["R"]) == ("FATAL", "57P03", "pgjit:shutting-down")
        await draining
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", door.port))


async def test_what_waits_in_a_socket_of_another_process_is_left_to_the_next_one(tmp_path: Path) -> None:
    async with Door(tmp_path) as door:
        with socket.create_server(("127.0.0.1", 0)) as held:
            held.setblocking(False)
            port = held.getsockname()[1]
            ending, next_one = (listener.Listener(door.services, door._context) for _ in range(2))
            ending.open_on([held.dup()])
            assert ending.ports == [port]
            with socket.create_connection(("127.0.0.1", port)) as waiting:  # the loop does not run before the drain
                waiting.setblocking(False)
                ending.keeps_queue = True
                await ending.drain(0)
                assert ending.connections == 0
                next_one.open_on([held.dup()])
                await asyncio.get_running_loop().sock_sendall(waiting, STARTUP)
                assert b"28000" in await asyncio.get_running_loop().sock_recv(waiting, 1000)
            await next_one.drain(0)
