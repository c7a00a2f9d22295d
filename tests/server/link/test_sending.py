"""What a link sends: at once, later, in records, and with new keys in between."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket

import pytest

from pgjit.server.link import HIGH_WATER, RECORD, Link
from pgjit.server.tls_handshake import do_handshake
from tests.fakes.linked import linked
from tests.fakes.tls_peer import Certificates
from tests.run.waiting import a_while, until


async def test_records_have_a_length_that_every_libpq_reads(certificates: Certificates) -> None:
    async with linked(certificates) as (link, peer):
        data = bytes(range(256)) * 100
        link.write(data)
        assert await peer.read_exactly(len(data)) == data
        overhead = peer.records[0] - RECORD
        assert [length - overhead for length in peer.records] == [8192, 8192, 8192, 1024]
        link.write(data[:RECORD])
        await peer.read_exactly(RECORD)
        assert peer.records[-1] - overhead == RECORD


async def test_nothing_is_not_sent(certificates: Certificates) -> None:
    async with linked(certificates) as (link, peer):
        link.write(b"")
        link.write(b"x")
        await peer.read_exactly(1)
        assert len(peer.records) == 1


@pytest.mark.parametrize("piece", [1000, RECORD, 3 * RECORD + 1, 4 * HIGH_WATER])
async def test_what_a_full_socket_does_not_take_is_sent_later_in_order(
    either: Certificates | None, piece: int
) -> None:
    async with linked(either, send_buffer=8192) as (link, peer):
        data = os.urandom(piece)
        count = 2 * HIGH_WATER // piece + 2
        for _ in range(count):
            link.write(data)
        assert link._output
        assert await peer.read_exactly(count * piece) == data * count
        assert (len(link._output), link._output_size) == (0, 0)


async def test_both_ends_send_at_once_without_a_deadlock(certificates: Certificates) -> None:
    async with linked(certificates, send_buffer=8192) as (link, peer):
        data = os.urandom(HIGH_WATER)
        received: list[bytes] = []
        link.stream(received.append, lambda: None, peer=link)
        link.write(data)
        await asyncio.gather(peer.send(data), peer.read_exactly(len(data)))
        await until(lambda: sum(map(len, received)) == len(data))
        assert b"".join(received) == data


async def test_a_side_that_cannot_be_written_to_stops_reading_from_the_other(either: Certificates | None) -> None:
    async with linked(either, send_buffer=64 * 1024) as (client, client_peer), linked(None) as (server, server_peer):
        client.stream(lambda _: None, lambda: None, peer=server)
        passed: list[int] = []

        def forward(data: bytes) -> None:
            passed.append(len(data))
            client.write(data)

        server.stream(forward, lambda: None, peer=client)
        much = 16 * HIGH_WATER
        sending = asyncio.create_task(server_peer.send(b"x" * much))
        await until(lambda: server._pause_reasons)
        held = sum(passed)
        await a_while(0.1)
        assert sum(passed) == held < much
        assert client._output_size <= 2 * HIGH_WATER
        await client_peer.read_exactly(much)
        await sending


async def test_reading_goes_on_only_when_no_reason_holds_it() -> None:
    async with linked(None) as (link, peer):
        link.pause("a")
        link.pause("b")
        link.pause("a")
        link.resume("a")
        link.resume("unknown")
        await peer.send(b"x")
        await a_while(0.05)
        assert not link._buffer
        link.resume("b")
        assert await link.receive() == b"x"


async def test_a_peer_that_is_gone_holds_nobody() -> None:
    async with linked(None, send_buffer=8192) as (client, _), linked(None) as (server, server_peer):
        client.stream(lambda _: None, lambda: None, peer=server)
        client.write(b"x" * 2 * HIGH_WATER)
        client.write(b"x" * 2 * HIGH_WATER)
        assert server._pause_reasons
        client.abort()
        await server_peer.send(b"x")
        assert await server.receive() == b"x"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
async def test_new_keys_in_the_middle_of_a_large_result(certificates: Certificates) -> None:
    """`K` makes s_client change its keys and request new ones of the link, which is blocked in sending."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        client = await asyncio.create_subprocess_exec(
            "openssl", "s_client", "-brief", "-connect", f"127.0.0.1:{listener.getsockname()[1]}",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            accepted, _ = await loop.sock_accept(listener)
            accepted.setblocking(False)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            link = Link(await do_handshake(accepted, certificates.server))
            await asyncio.wait_for(_exchange(link, client), 60)
            await link.close()
        finally:
            if client.returncode is None:
                client.kill()
            await client.communicate()


async def _exchange(link: Link, client: asyncio.subprocess.Process) -> None:
    assert client.stdin is not None
    assert client.stdout is not None
    assert client.stderr is not None
    received = bytearray()
    link.stream(received.extend, lambda: None, peer=link)
    data = os.urandom(4 * HIGH_WATER)
    for turn in range(1, 4):
        link.write(data)
        assert link._output
        client.stdin.write(b"K\n")
        reading = asyncio.create_task(client.stdout.readexactly(len(data)))
        while b"KEYUPDATE" not in await client.stderr.readline():
            pass
        client.stdin.write(b"more\n")
        await until(lambda turn=turn: received.count(b"more\n") == turn)  # type: ignore[misc]
        assert await reading == data
    assert not link._output
