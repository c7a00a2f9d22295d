"""One side of a session: a transport, what arrived on it, and back-pressure towards the other side.

The only file that implements asyncio's protocol callbacks. Decides nothing about what the bytes mean.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

__all__ = ["Link", "LinkClosed"]

RECORD = 8192
"""Most bytes in one write on TLS: libpq's asynchronous calls before version 17 hang on larger records."""

HIGH_WATER = 256 * 1024

LOOK_EVERY = 0.5
"""Seconds between two looks whether a client has gone that is not read from."""

_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class LinkClosed(ConnectionError):
    """The peer is gone in the middle of something."""


class Link(asyncio.Protocol):
    """Bytes are awaited with `receive`, or taken as they come once `stream` was called."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[], None] | None = None
        self._peer: Link | None = None
        self._held: set[str] = set()  # why reading is paused
        self._tls = False
        self._watched = False  # its end is to be seen even while it is not read from
        self._watch: asyncio.TimerHandle | None = None
        self._eof = False
        self.lost = asyncio.get_running_loop().create_future()

    # --- callbacks of the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do what asyncio.Transport promises without being one.
        self._transport = transport = cast(asyncio.Transport, transport)
        self._tls = transport.get_extra_info("ssl_object") is not None
        transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        if self._on_data is not None:
            self._on_data(data)
            return
        self._buffer += data
        if len(self._buffer) > HIGH_WATER:
            self.hold("unread")
        self._wake()

    def eof_received(self) -> bool:
        self._eof = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._eof = True
        self._wake()
        if not self.lost.done():
            self.lost.set_result(None)
        if self._peer is not None:
            self._peer.release("peer is full")
        if self._on_lost is not None:
            self._on_lost()
        # Nothing comes any more: two links and a session that hold each other would wait for the cycle collector.
        self._on_data = self._on_lost = self._peer = self._transport = None

    def pause_writing(self) -> None:
        if self._peer is not None:
            self._peer.hold("peer is full")

    def resume_writing(self) -> None:
        if self._peer is not None:
            self._peer.release("peer is full")

    # --- what a session uses ---

    def detail(self, name: str) -> object:
        """What the transport knows: `ssl_object`, `peername`, ..."""
        return None if self._transport is None else self._transport.get_extra_info(name)

    @property
    def closed(self) -> bool:
        return self._eof

    async def receive(self) -> bytes:
        """What arrived, at least one byte; b"" once the peer has ended."""
        while not self._buffer:
            if self._eof:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = bytes(self._buffer)
        self._buffer.clear()
        self.release("unread")
        return data

    def stream(self, on_data: Callable[[bytes], None], on_lost: Callable[[], None], *, peer: Link) -> None:
        """From now on hand data over as it arrives; what waits in the buffer first."""
        if not self.lost.done():
            self._on_data, self._on_lost = on_data, on_lost
            self._peer = peer
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            self.release("unread")
            on_data(data)
        if self._eof:
            on_lost()

    def back_pressure(self, peer: Link) -> None:
        """When this side cannot be written to any more, stop reading from `peer`.

        From now on the end of this side is seen even while nothing is read from it.
        """
        self._peer = peer
        self._watched = True

    def write(self, data: bytes) -> None:
        transport = self._transport
        if not data or transport is None or transport.is_closing():
            return
        if not self._tls or len(data) <= RECORD:
            transport.write(data)
            return
        view = memoryview(data)
        for at in range(0, len(data), RECORD):
            transport.write(view[at : at + RECORD])

    def hold(self, why: str) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not self._held:
            self._transport.pause_reading()
            if self._watched and self._watch is None:
                self._watch = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)
        self._held.add(why)

    def release(self, why: str) -> None:
        if why not in self._held:
            return
        self._held.discard(why)
        if not self._held and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _look(self) -> None:
        """An end lies behind what is not read: the system is asked for it, as PostgreSQL does while it is busy."""
        self._watch = None
        if not self._held or self._transport is None or self._transport.is_closing():
            return
        look = select.poll()
        look.register(self._transport.get_extra_info("socket").fileno(), _GONE)
        if look.poll(0):
            self._transport.abort()
        else:
            self._watch = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    async def close(self, grace: float = 1.0) -> None:
        """Send what is buffered, then close; after `grace` seconds close without sending it."""
        if self._transport is None:
            return
        self._transport.close()
        try:
            await asyncio.wait_for(asyncio.shield(self.lost), grace)
        except TimeoutError:
            self._transport.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None
