"""The door, on both event loops: what may come before a session, what it costs, and what is written down."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from pgjit.proxy.services import ProxyLimits
from pgwire.messages.authentication import encode_password
from pgwire.messages.startup import (
    encode_cancel,
    encode_gss_request,
    encode_ssl_request,
    encode_startup,
)
from tests.fakes.door import GOOD, Door
from tests.fakes.scripted_client import Cut, ScriptedClient, trusting
from tests.run.waiting import a_while, until
from tests.run.work import calls_async

STARTUP = encode_startup({"user": "ann", "database": "shop"})
SSL, GSS = encode_ssl_request(), encode_gss_request()


async def said(door: Door, *pieces: bytes) -> bytes:
    """What the door says to plain bytes, until it closes."""
    async with await ScriptedClient.open(door.port) as client:
        for piece in pieces:
            await client.send(piece)
        heard = b""
        while data := await client.receive():
            heard += data
        return heard


# --- before TLS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requests", "answers"),
    [([SSL], b"S"), ([GSS, SSL], b"NS"), ([GSS], b"N")],
    ids=["ssl", "gss, then ssl", "gss"],
)
async def test_requests_for_encryption_are_answered(door: Door, requests: Sequence[bytes], answers: bytes) -> None:
    async with await ScriptedClient.open(door.port) as client:
        assert b"".join([await client.ask(request) for request in requests]) == answers


@pytest.mark.parametrize(
    "sent",
    [
        [SSL + STARTUP],
        [SSL + b"\x16\x03\x01"],
        [SSL + b"\0"],
        [GSS + SSL],
        [GSS + STARTUP],
        [SSL + encode_password(b"secret")],
    ],
)
async def test_bytes_behind_a_request_are_refused_before_any_is_used(door: Door, sent: list[bytes]) -> None:
    assert await said(door, *sent) == b""
    await door.empty()
    assert door.references == ["handshake-failed"]
    assert "unencrypted data" in str(door.refused[0]["reason"])


async def test_bytes_that_come_late_behind_a_request_are_no_tls_handshake(door: Door) -> None:
    async with await ScriptedClient.open(door.port) as client:
        assert await client.ask(SSL) == b"S"
        await client.send(STARTUP + encode_password(GOOD.encode()))
        heard = await client.receive()
        assert heard[:1] in (b"", b"\x15")  # an alert of TLS, or nothing
    await door.empty()
    assert door.references == ["handshake-failed"]
    assert door.provider.asked == []


async def test_plain_bytes_in_front_of_a_good_tls_handshake_spoil_it(door: Door) -> None:
    async with await ScriptedClient.open(door.port) as client:
        assert await client.ask(SSL) == b"S"
        await client.send(STARTUP)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await client.start_tls(door.trust, direct=True)
    await door.empty()
    assert door.references == ["handshake-failed"]


async def test_a_second_request_for_gssapi_is_refused(door: Door) -> None:
    async with await ScriptedClient.open(door.port) as client:
        assert await client.ask(GSS) == b"N"
        await client.send(GSS)
        assert await client.ended()
    await door.empty()
    assert door.references == ["handshake-failed"]


@pytest.mark.parametrize(
    "packet",
    [
        struct.pack("!II", 7, 196608)[:8],
        struct.pack("!I", 0),
        struct.pack("!I", 10_005) + b"x" * 10_001,
        struct.pack("!I", 0x7FFFFFFF),
        struct.pack("!II", 8, 196608),
        struct.pack("!II", 15, 80877102) + b"\0" * 7,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0",
    ],
)
async def test_what_is_no_first_message_is_closed_without_a_word(door: Door, packet: bytes) -> None:
    async with await ScriptedClient.open(door.port, cut_after=len(packet) if len(packet) < 4 else None) as client:
        try:
            await client.send(packet)
        except Cut:
            pass
        else:
            assert await client.ended()
    await door.empty()
    assert door.references == ["handshake-failed"]


@pytest.mark.parametrize("reset", [False, True])
async def test_who_looks_whether_the_port_is_open_is_not_a_refused_login(door: Door, reset: bool) -> None:
    async with await ScriptedClient.open(door.port) as client:
        if reset:
            client.reset()
    await door.empty()
    assert door.references == []


async def test_a_packet_of_the_largest_size_is_read(door: Door) -> None:
    filling = 10_000 - len(encode_startup({"user": "ann", "x": ""})) + 4
    packet = encode_startup({"user": "ann", "x": "y" * filling})
    assert len(packet) == 10_004
    assert b"28000" in await said(door, packet)
    await door.empty()
    assert door.references == ["tls-required"]


# --- TLS -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direct", [False, True], ids=["asked for", "direct"])
@pytest.mark.parametrize("piece", [0, 1, 7])
async def test_a_login_in_any_pieces_is_a_login(door: Door, direct: bool, piece: int) -> None:
    async with await ScriptedClient.open(door.port) as client:
        client.piece = piece
        await client.start_tls(door.trust, direct=direct)
        await client.send(STARTUP)
        assert await client.frame() == ("R", b"\0\0\0\x03")
        await client.send(encode_password(GOOD.encode()))
        assert (await client.error())["C"] == "28000"
    await door.empty()
    assert door.references == ["no-policy"]
    assert door.provider.asked == [GOOD]


@pytest.mark.parametrize("alpn", [None, "h2"])
async def test_direct_tls_without_alpn_is_refused(door: Door, alpn: str | None) -> None:
    async with await ScriptedClient.open(door.port) as client:
        await client.start_tls(trusting(door.authority, alpn=alpn), direct=True)
        try:
            await client.send(STARTUP)
        except ConnectionError:
            pass
        else:
            assert await client.ended()
    await door.empty()
    assert door.references == ["handshake-failed"]


async def test_tls_after_a_request_needs_no_alpn(door: Door) -> None:
    async with await ScriptedClient.open(door.port) as client:
        await client.start_tls(trusting(door.authority, alpn=None))
        await client.send(STARTUP)
        assert await client.frame() == ("R", b"\0\0\0\x03")


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("request_", [SSL, GSS])
async def test_a_request_for_encryption_inside_tls_is_refused(door: Door, direct: bool, request_: bytes) -> None:
    async with await ScriptedClient.open(door.port) as client:
        await client.start_tls(door.trust, direct=direct)
        await client.send(request_)
        assert (await client.error())["C"] == "0A000"
    await door.empty()
    assert door.references == ["unsupported-protocol"]


@pytest.mark.parametrize(
    ("packet", "sqlstate", "reference"),
    [
        (encode_startup({"user": "ann"}, major=1), "0A000", "unsupported-protocol"),
        (encode_startup({"user": "ann"}, major=2), "0A000", "unsupported-protocol"),
        (encode_startup({"user": "ann"}, major=4), "0A000", "unsupported-protocol"),
        (struct.pack("!II", 296, 2 << 16) + b"shop" + b"\0" * 284, "0A000", "unsupported-protocol"),
        (struct.pack("!II", 17, 196608) + b"user\0ann\0", "08P01", "protocol-violation"),
        (struct.pack("!II", 8, 196608), "08P01", "protocol-violation"),
        (struct.pack("!II", 20, 196608) + b"user\0ann\0\0xx", "08P01", "protocol-violation"),
        (struct.pack("!II", 28, 196608) + b"user\0ann\0user\0eve\0\0x", "08P01", "protocol-violation"),
        (encode_startup({"database": "shop"}), "28000", "startup-parameter"),
        (encode_startup({"user": "ann", "replication": "database"}), "0A000", "replication"),
        (encode_startup({"user": "ann", "replication": "maybe"}), "0A000", "replication"),
    ],
)
async def test_a_startup_message_that_cannot_be_served_is_told_why(
    door: Door, packet: bytes, sqlstate: str, reference: str
) -> None:
    async with await ScriptedClient.open(door.port) as client:
        await client.start_tls(door.trust)
        await client.send(packet)
        error = await client.error()
    assert (error["S"], error["C"]) == ("FATAL", sqlstate)
    await door.empty()
    assert door.references == [reference]
    assert door.provider.asked == []


@pytest.mark.parametrize("packet", [struct.pack("!I", 10_005), struct.pack("!II", 7, 0), STARTUP + b"x"])
async def test_a_first_message_of_odd_length_inside_tls_is_closed_on(door: Door, packet: bytes) -> None:
    async with await ScriptedClient.open(door.port) as client:
        await client.start_tls(door.trust)
        await client.send(packet)
        assert await client.ended()
    await door.empty()
    assert door.references == ["handshake-failed"]


@pytest.mark.parametrize(
    ("minor", "options", "answer"),
    [
        (0, (), None),
        (2, (), None),
        (1, (), (0x30000, ())),
        (3, (), (0x30002, ())),
        (9999, ("_pq_.test_protocol_negotiation",), (0x30002, ("_pq_.test_protocol_negotiation",))),
        (0, ("_pq_.a", "_pq_.b"), (0x30000, ("_pq_.a", "_pq_.b"))),
        (2, ("_pq_.a",), (0x30002, ("_pq_.a",))),
    ],
)
async def test_a_version_that_is_not_spoken_is_negotiated_once(
    door: Door, minor: int, options: tuple[str, ...], answer: tuple[int, tuple[str, ...]] | None
) -> None:
    async with await ScriptedClient.open(door.port) as client:
        await client.start_tls(door.trust)
        await client.send(encode_startup({"user": "ann", **dict.fromkeys(options, "1")}, minor=minor))
        heard = await client.frames(until="R")
        await client.send(encode_password(b"bad"))
        assert (await client.error())["C"] == "28P01"
    expected = [("R", b"\0\0\0\x03")]
    if answer is not None:
        version, names = answer
        body = struct.pack("!Ii", version, len(names)) + b"".join(name.encode() + b"\0" for name in names)
        expected.insert(0, ("v", body))
    assert heard == expected


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
            await client.ask(SSL)
        case 4:
            await client.ask(SSL)
            await client.send(b"\x16\x03\x01\x02\0\x01")
        case 5:
            await client.start_tls(door.trust)
        case 6:
            await client.start_tls(door.trust)
            await client.send(STARTUP[:9])


async def test_a_silent_client_is_let_go_at_every_step_and_holds_up_nobody(tmp_path: Path) -> None:
    async with Door(tmp_path, ProxyLimits(handshake_seconds=0.4)) as door:
        clients = [await ScriptedClient.open(door.port) for _ in STAGES]
        for client, stage in zip(clients, STAGES, strict=True):
            await get_to(client, door, stage)
        quick = await said(door, STARTUP)
        assert b"28000" in quick
        for client in clients:
            async with client:
                assert await asyncio.wait_for(client.ended(), 60)
        await door.empty()
        assert door.references.count("handshake-failed") == len(STAGES)


async def test_a_client_that_says_a_byte_now_and_then_is_let_go_as_well(tmp_path: Path) -> None:
    async with Door(tmp_path, ProxyLimits(handshake_seconds=2)) as door:
        async with await ScriptedClient.open(door.port) as client:
            assert await client.ask(SSL) == b"S"
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
    async with Door(tmp_path, ProxyLimits(handshake_seconds=3)) as door:
        async with await ScriptedClient.open(door.port) as client:
            await client.start_tls(door.trust)
            await client.send(STARTUP)
            assert (await client.frame()) == ("R", b"\0\0\0\x03")
            assert (await client.error())["M"] == "login took too long"
        await door.empty()
    assert len(set(deadlines)) == 1


async def test_beyond_its_limit_an_address_is_told_and_then_turned_away(tmp_path: Path) -> None:
    async with Door(tmp_path, ProxyLimits(connections_per_address=2)) as door:
        held = [await ScriptedClient.open(door.port) for _ in range(2)]
        await until(lambda: door.listener.connections >= 2)
        async with await ScriptedClient.open(door.port) as told:
            await told.start_tls(door.trust)
            await told.send(STARTUP)
            error = await told.error()
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
    assert len(turned) < 15
    assert {r["sqlstate"] for r in turned} == {"53300"}


async def test_beyond_the_limit_of_all_connections_a_client_is_told(tmp_path: Path) -> None:
    async with Door(tmp_path, ProxyLimits(connections=1)) as door, await ScriptedClient.open(door.port):
        await until(lambda: door.listener.connections >= 1)
        async with await ScriptedClient.open(door.port) as told:
            await told.start_tls(door.trust)
            await told.send(STARTUP)
            assert (await told.error())["R"] == "pgjit:too-many-connections"


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
    assert len(counts) < 60
    assert max(counts) > 1
    assert {str(r["source"]) for r in door.refused if r["count"] != 1} == {"127.0.0.1"}


async def test_out_of_file_descriptors_it_waits_without_being_busy(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    client = await ScriptedClient.open(door.port)  # before: it takes a descriptor too
    async with client:
        assert await client.ask(SSL) == b"S"
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
            assert await calls_async(a_while(0.5)) < 1_000  # what is busy makes more in a few milliseconds
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
    assert (await clients[-1].error())["C"] == "57P01"
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
