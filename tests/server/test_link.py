"""A link over a transport in memory."""

from __future__ import annotations

import asyncio

import pytest

from pgjit.server.link import HIGH_WATER, RECORD, Link
from tests.fakes.memory_transport import MemoryTransport


def connected(*, tls: bool = False, lingers: bool = False) -> tuple[Link, MemoryTransport]:
    link = Link()
    return link, MemoryTransport(link, tls=tls, lingers=lingers)


async def test_writes_on_tls_are_cut_into_records_that_every_libpq_reads() -> None:
    link, transport = connected(tls=True)
    data = bytes(range(256)) * 100
    link.write(data)
    assert [len(piece) for piece in transport.writes] == [8192, 8192, 8192, 1024]
    assert b"".join(transport.writes) == data
    link.write(data[:RECORD])
    assert len(transport.writes[-1]) == RECORD


async def test_writes_in_plain_are_not_cut_and_nothing_is_not_written() -> None:
    link, transport = connected()
    link.write(b"x" * 30_000)
    link.write(b"")
    assert [len(piece) for piece in transport.writes] == [30_000]
    assert transport.high_water == HIGH_WATER


async def test_bytes_are_received_and_the_end_is_empty() -> None:
    link, _ = connected()
    waiting = asyncio.create_task(link.receive())
    await asyncio.sleep(0)
    link.data_received(b"ab")
    assert await waiting == b"ab"
    link.data_received(b"c")
    link.data_received(b"d")
    assert await link.receive() == b"cd"
    link.data_received(b"e")
    assert link.eof_received() is False
    assert (await link.receive(), await link.receive()) == (b"e", b"")
    assert link.closed


@pytest.mark.parametrize("how", ["eof", "lost"])
async def test_a_waiting_receive_returns_at_the_end(how: str) -> None:
    link, _ = connected()
    waiting = asyncio.create_task(link.receive())
    await asyncio.sleep(0)
    if how == "eof":
        link.eof_received()
    else:
        link.connection_lost(None)
        assert link.lost.done()
    assert await waiting == b""


async def test_reading_pauses_while_received_bytes_are_not_taken() -> None:
    link, transport = connected()
    link.data_received(b"x" * HIGH_WATER)
    assert transport.turns == []
    link.data_received(b"x")
    assert transport.turns == ["pause"]
    assert len(await link.receive()) == HIGH_WATER + 1
    assert transport.turns == ["pause", "resume"]


async def test_a_stream_passes_on_buffered_bytes_first_and_then_bytes_as_they_arrive() -> None:
    link, _ = connected()
    peer, _ = connected()
    seen: list[bytes] = []
    link.data_received(b"a")
    link.stream(seen.append, lambda: seen.append(b"lost"), peer=peer)
    link.data_received(b"b")
    assert seen == [b"a", b"b"]
    link.connection_lost(None)
    assert seen == [b"a", b"b", b"lost"]


async def test_a_stream_that_begins_after_the_end_reports_it() -> None:
    link, _ = connected()
    peer, _ = connected()
    link.data_received(b"a")
    link.eof_received()
    seen: list[bytes] = []
    link.stream(seen.append, lambda: seen.append(b"lost"), peer=peer)
    assert seen == [b"a", b"lost"]


async def test_a_stream_that_begins_while_reading_is_paused_reads_on() -> None:
    link, transport = connected()
    peer, _ = connected()
    link.data_received(b"x" * (HIGH_WATER + 1))
    seen: list[int] = []
    link.stream(lambda data: seen.append(len(data)), lambda: None, peer=peer)
    assert seen == [HIGH_WATER + 1]
    assert transport.reading


async def test_a_side_that_cannot_be_written_to_stops_reading_from_the_other() -> None:
    client, _ = connected()
    server, transport = connected()
    client.back_pressure(server)
    client.pause_writing()
    assert not transport.reading
    client.resume_writing()
    assert transport.reading


async def test_reading_goes_on_only_when_no_reason_holds_it() -> None:
    link, transport = connected()
    link.pause("a")
    link.pause("b")
    link.pause("a")
    link.resume("a")
    link.resume("unknown")
    assert not transport.reading
    link.resume("b")
    assert transport.turns == ["pause", "resume"]


async def test_a_peer_that_is_gone_holds_nobody() -> None:
    client, _ = connected()
    server, transport = connected()
    client.back_pressure(server)
    client.pause_writing()
    client.connection_lost(None)
    assert transport.reading


async def test_a_link_that_is_closing_is_neither_written_nor_held() -> None:
    link, transport = connected()
    link.pause("a")
    await link.close()
    link.write(b"late")
    link.pause("b")
    link.resume("a")
    assert (transport.writes, transport.turns) == ([], ["pause"])
    assert link.lost.done()
    assert not transport.aborted


async def test_a_peer_that_does_not_read_the_rest_is_dropped() -> None:
    link, transport = connected(lingers=True)
    await link.close(grace=0)
    assert transport.aborted


async def test_a_connection_lost_as_the_grace_ends_is_closed() -> None:
    link, transport = connected()
    await link.close(grace=0)  # the transport reports the loss while the wait for it is given up
    assert link.lost.done()
    assert not transport.aborted


async def test_a_link_that_was_never_made_can_be_closed_and_knows_nothing() -> None:
    link = Link()
    link.write(b"x")
    link.pause("a")
    link.abort()
    await link.close()
    assert link.detail("peername") is None


async def test_details_of_the_transport_are_shown_and_abort_drops_it() -> None:
    link, transport = connected()
    assert link.detail("peername") == ("10.0.0.7", 51000)
    link.abort()
    assert transport.aborted
