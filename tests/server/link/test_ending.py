"""How a link ends: closed from here, by the peer, or by a fault."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pgjit.server.link import HIGH_WATER
from tests.fakes.linked import ended, linked
from tests.fakes.tls_peer import Certificates, TlsPeer
from tests.run.waiting import a_while


async def test_close_sends_the_rest_then_close_notify_then_the_end(certificates: Certificates) -> None:
    async with linked(certificates, send_buffer=8192) as (link, peer):
        data = os.urandom(2 * HIGH_WATER)
        link.write(data)
        closing = asyncio.create_task(link.close(grace=60))
        await asyncio.sleep(0)
        link.write(b"late")
        assert await peer.read_exactly(len(data)) == data
        assert await peer.receive() == b""
        assert await asyncio.get_running_loop().sock_recv(peer.raw, 10) == b""
        assert not link.lost.done()
        peer.raw.close()
        await closing
        assert link.lost.done()


async def test_bytes_that_come_during_the_close_reset_nothing(certificates: Certificates) -> None:
    """A client may still be sending when it gets its last error."""
    async with linked(certificates) as (link, peer):
        await peer.send(b"x" * 100_000)
        link.write(b"the last error")
        closing = asyncio.create_task(link.close(grace=60))
        await asyncio.sleep(0)
        await peer.send(b"x" * 100_000)
        assert await peer.read_exactly(14) == b"the last error"
        assert await peer.receive() == b""
        await peer.notify()
        peer.raw.close()
        await closing


async def test_a_peer_that_never_stops_sending_leaves_others_their_turn(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def endless(_: socket.socket, size: int) -> bytes:
        read.append(size)
        assert sum(read) < HIGH_WATER
        return bytes(size)

    async with linked(certificates) as (link, _):
        closing = asyncio.create_task(link.close(grace=60))
        await asyncio.sleep(0)
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "recv", endless)
            link._discard()
        assert read
        assert not link.lost.done()
        link.abort()
        await closing


async def test_a_plain_link_closes_at_once_when_everything_was_sent() -> None:
    async with linked(None) as (link, peer):
        link.write(b"last")
        await link.close(grace=60)
        assert (await peer.receive(), await peer.receive()) == (b"last", b"")


@pytest.mark.parametrize("unread", [0, 4 * HIGH_WATER])
async def test_a_peer_that_does_not_end_is_dropped_after_the_grace(certificates: Certificates, unread: int) -> None:
    async with linked(certificates, send_buffer=8192) as (link, _):
        link.write(b"x" * unread)
        await link.close(grace=0)
        await ended(link)
        await link.close()


async def test_an_end_without_close_notify_is_an_end(certificates: Certificates) -> None:
    for how in ("close_notify", "none", "half"):
        async with linked(certificates) as (link, peer):
            await peer.send(b"x")
            if how == "close_notify":
                await peer.notify()
            elif how == "half":
                peer.raw.shutdown(socket.SHUT_WR)
            else:
                peer.raw.close()
            assert (await link.receive(), await link.receive()) == (b"x", b"")
            await ended(link)


async def test_what_is_buffered_is_sent_to_a_peer_that_sends_nothing_more(either: Certificates | None) -> None:
    async with linked(either, send_buffer=8192) as (link, peer):
        data = os.urandom(2 * HIGH_WATER)
        link.write(data)
        if either is not None:
            await peer.notify()
        peer.raw.shutdown(socket.SHUT_WR)
        assert await link.receive() == b""
        link.write(b"late")
        assert await peer.read_exactly(len(data)) == data
        assert await peer.receive() == b""
        await ended(link)


async def test_what_a_server_sent_before_its_reset_is_read(either: Certificates | None) -> None:
    """uvloop reports a reset once: a link that relies on its `add_reader` would hang here."""
    async with linked(either) as (link, peer):
        link.pause("test")
        await peer.send(b"last words")
        peer.reset()
        link.resume("test")
        assert await link.receive() == b"last words"
        await ended(link)


async def test_a_write_that_fails_does_not_hide_what_was_sent_before(either: Certificates | None) -> None:
    async with linked(either) as (link, peer):
        await peer.send(b"last words")
        peer.reset()
        for _ in range(3):
            link.write(b"x")
        assert await link.receive() == b"last words"
        link.write(b"x")
        await ended(link)


Disconnect = Callable[[TlsPeer], Awaitable[None] | None]


@pytest.mark.parametrize("disconnect", [lambda peer: peer.raw.close(), TlsPeer.reset], ids=["end", "reset"])
async def test_a_disconnect_is_seen_while_reading_is_paused(
    either: Certificates | None, disconnect: Disconnect
) -> None:
    async with linked(either) as (link, peer), linked(None) as (server, _):
        link.stream(lambda _: None, lambda: None, peer=server, detects_disconnect=True)
        link.pause("test")
        await peer.send(b"unread")
        await a_while(0.05)
        assert not link.lost.done()
        disconnect(peer)
        await ended(link)


async def test_a_paused_link_that_waits_for_its_results_does_not_look_for_the_end() -> None:
    async with linked(None) as (server, peer):
        server.pause("peer is full")
        await peer.send(b"the rest of a result")
        peer.raw.close()
        await a_while(0.05)
        assert not server.lost.done()
        server.resume("peer is full")
        assert await server.receive() == b"the rest of a result"
        await ended(server)


async def test_bytes_that_are_no_tls_end_the_link(certificates: Certificates) -> None:
    async with linked(certificates) as (link, peer):
        await asyncio.get_running_loop().sock_sendall(peer.raw, b"Q\0\0\0\x0dSELECT 1\0")
        assert await link.receive() == b""
        await ended(link)
        assert isinstance(link.loss_reason, ssl.SSLError)


async def test_a_link_that_is_lost_can_be_used_in_vain() -> None:
    async with linked(None) as (link, _):
        link.abort()
        link.write(b"x")
        link.pause("a")
        link.resume("a")
        link.abort()
        await link.close()
        assert await link.receive() == b""


async def test_no_descriptor_is_left_open(certificates: Certificates) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        async with linked(certificates) as (link, peer):
            await peer.send(b"x")
            await link.receive()
        async with linked(None) as (link, peer):
            peer.reset()
            await ended(link)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
