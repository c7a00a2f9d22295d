"""What a link reads, passes on, and leaves in the socket."""

from __future__ import annotations

import asyncio
import contextvars
import os

from pgjit.server.link import HIGH_WATER
from tests.fakes.linked import ended, linked
from tests.fakes.tls_peer import Certificates
from tests.run.waiting import a_while, until


async def test_bytes_are_received_and_the_end_is_empty(either: Certificates | None) -> None:
    async with linked(either) as (link, peer):
        waiting = asyncio.create_task(link.receive())
        await peer.send(b"ab")
        assert await waiting == b"ab"
        await peer.send(b"cd")
        assert await link.receive() == b"cd"
        await peer.send(b"e")
        peer.raw.close()
        assert (await link.receive(), await link.receive()) == (b"e", b"")
        assert link.closed
        await ended(link)


async def test_large_records_are_read_whole_though_reading_pauses(certificates: Certificates) -> None:
    """No event reports bytes that were left in OpenSSL."""
    async with linked(certificates) as (link, peer):
        data = os.urandom(16 * 1024) * 40
        sending = asyncio.create_task(peer.send(data))
        await until(lambda: "unread" in link._pause_reasons)
        assert link.tls is not None
        assert link.tls.pending() == 0
        received = b""
        while len(received) < len(data):
            received += await link.receive()
        assert received == data
        await sending


async def test_reading_pauses_while_received_bytes_are_not_taken(either: Certificates | None) -> None:
    async with linked(either) as (link, peer):
        much = 64 * HIGH_WATER
        sending = asyncio.create_task(peer.send(b"x" * much))
        await until(lambda: "unread" in link._pause_reasons)
        held = len(link._buffer)
        await a_while(0.1)
        assert HIGH_WATER < len(link._buffer) == held <= 2 * HIGH_WATER
        received = 0
        while received < much:
            received += len(await link.receive())
        await sending


async def test_a_stream_passes_on_buffered_bytes_first_and_reports_the_end_once(either: Certificates | None) -> None:
    async with linked(either) as (link, peer):
        seen: list[bytes] = []
        await peer.send(b"a")
        await until(lambda: link._buffer)
        link.stream(seen.append, lambda: seen.append(b"lost"), peer=link)
        assert seen == [b"a"]
        await peer.send(b"b")
        await until(lambda: len(seen) > 1)
        peer.raw.close()
        await ended(link)
        link.abort()
        await asyncio.sleep(0)
        assert seen == [b"a", b"b", b"lost"]


async def test_a_stream_that_begins_after_the_end_reports_it() -> None:
    async with linked(None) as (link, peer):
        await peer.send(b"a")
        peer.raw.close()
        await ended(link)
        seen: list[bytes] = []
        link.stream(seen.append, lambda: seen.append(b"lost"), peer=link)
        assert seen == [b"a", b"lost"]


async def test_callbacks_run_in_the_context_of_the_session() -> None:
    session: contextvars.ContextVar[str] = contextvars.ContextVar("session", default="")
    async with linked(None) as (link, peer):
        seen: list[str] = []

        async def run() -> None:
            session.set("mine")
            link.stream(lambda _: seen.append(session.get()), lambda: None, peer=link)

        await asyncio.create_task(run())
        await peer.send(b"a")
        await until(lambda: seen)
        assert (seen, session.get()) == (["mine"], "")


async def test_a_plain_link_that_fills_a_read_takes_larger_pieces() -> None:
    async with linked(None) as (link, peer):
        sizes: list[int] = []
        link.pause("test")
        link.stream(lambda data: sizes.append(len(data)), lambda: None, peer=link)
        much = 4 * HIGH_WATER
        sending = asyncio.create_task(peer.send(b"x" * much))
        await a_while(0.05)
        link.resume("test")
        await until(lambda: sum(sizes) == much)
        await sending
        assert sizes[0] == 64 * 1024
        assert max(sizes) == 128 * 1024


async def test_one_link_with_much_to_read_leaves_others_their_turn() -> None:
    async with linked(None) as (busy, busy_peer), linked(None) as (other, other_peer):
        order: list[str] = []
        busy.pause("test")
        sending = asyncio.create_task(busy_peer.send(b"x" * 4 * 1024 * 1024))
        await a_while(0.05)
        busy.stream(lambda data: order.extend(["busy"] * len(data)), lambda: None, peer=busy)
        other.stream(lambda _: order.append("other"), lambda: None, peer=other)
        await other_peer.send(b"x")
        busy.resume("test")
        await until(lambda: "other" in order)
        assert order.index("other") <= 256 * 1024
        await sending


async def test_a_paused_link_does_not_wait_for_room_to_read_on() -> None:
    """TLS may have to send something before it reads on. While reading is paused the event would come without end."""
    async with linked(None) as (link, peer):
        link._read_needs_write = True
        link.pause("test")
        turns: list[int] = []
        link._readiness._sockets[link.descriptor].handler = turns.append
        await a_while(0.02)
        assert not turns
        link._readiness._sockets[link.descriptor].handler = link._ready
        await peer.send(b"x")
        link.resume("test")
        assert await link.receive() == b"x"
        assert not link._read_needs_write


async def test_a_callback_that_fails_ends_the_link_and_is_reported() -> None:
    reports: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    async with linked(None) as (link, peer):
        lost: list[bool] = []

        def fail(_: bytes) -> None:
            raise ZeroDivisionError

        link.stream(fail, lambda: lost.append(True), peer=link)
        await peer.send(b"a")
        await ended(link)
        assert lost == [True]
        assert isinstance(link.loss_reason, ZeroDivisionError)
    assert [type(each["exception"]) for each in reports] == [ZeroDivisionError]
