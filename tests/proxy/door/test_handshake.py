"""The handshake, on both event loops: which messages may come before a session, and which are recorded as refused."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Sequence

import pytest

from pgwire.messages.authentication import encode_password
from pgwire.messages.startup import (
    encode_gss_request,
    encode_ssl_request,
    encode_startup,
)
from tests.fakes.door import GOOD, Door
from tests.fakes.scripted_client import Cut, ScriptedClient, trusting

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


# --- before TLS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requests", "answers"),
    [([SSL], b"S"), ([GSS, SSL], b"NS"), ([GSS], b"N")],
    ids=["ssl", "gss, then ssl", "gss"],
)
async def test_requests_for_encryption_are_answered(door: Door, requests: Sequence[bytes], answers: bytes) -> None:
    async with await ScriptedClient.open(door.port) as client:
        assert b"".join([await client.request_encryption(request) for request in requests]) == answers


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
    assert await received(door, *sent) == b""
    await door.empty()
    assert door.references == ["handshake-failed"]
    assert "unencrypted data" in str(door.refused[0]["reason"])


async def test_bytes_that_come_late_behind_a_request_are_no_tls_handshake(door: Door) -> None:
    async with await ScriptedClient.open(door.port) as client:
        assert await client.request_encryption(SSL) == b"S"
        await client.send(STARTUP + encode_password(GOOD.encode()))
        heard = await client.receive()
        assert heard[:1] in (b"", b"\x15")  # an alert of TLS, or nothing
    await door.empty()
    assert door.references == ["handshake-failed"]
    assert door.provider.verified == []


async def test_plain_bytes_in_front_of_a_good_tls_handshake_spoil_it(door: Door) -> None:
    async with await ScriptedClient.open(door.port) as client:
        assert await client.request_encryption(SSL) == b"S"
        await client.send(STARTUP)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await client.start_tls(door.trust, direct=True)
    await door.empty()
    assert door.references == ["handshake-failed"]


async def test_a_second_request_for_gssapi_is_refused(door: Door) -> None:
    async with await ScriptedClient.open(door.port) as client:
        assert await client.request_encryption(GSS) == b"N"
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
async def test_an_invalid_first_message_closes_the_connection_without_an_error(door: Door, packet: bytes) -> None:
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
async def test_a_port_check_is_not_a_refused_login(door: Door, reset: bool) -> None:
    async with await ScriptedClient.open(door.port) as client:
        if reset:
            client.reset()
    await door.empty()
    assert door.references == []


async def test_a_packet_of_the_largest_size_is_read(door: Door) -> None:
    filling = 10_000 - len(encode_startup({"user": "ann", "x": ""})) + 4
    packet = encode_startup({"user": "ann", "x": "y" * filling})
    assert len(packet) == 10_004
    assert b"28000" in await received(door, packet)
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
    assert door.provider.verified == [GOOD]


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
async def test_an_unsupported_startup_message_gets_an_error_with_its_reason(
    door: Door, packet: bytes, sqlstate: str, reference: str
) -> None:
    async with await ScriptedClient.open(door.port) as client:
        await client.start_tls(door.trust)
        await client.send(packet)
        error = await client.error()
    assert (error["S"], error["C"]) == ("FATAL", sqlstate)
    await door.empty()
    assert door.references == [reference]
    assert door.provider.verified == []


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
