"""One side of a session: a transport, its receive buffer, and back-pressure on the other side.

The only file that implements asyncio's protocol callbacks. Does not know what the bytes mean.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

__all__ = ["Link", "LinkClosed"]

RECORD = 8192
"""Limit on the bytes of one TLS write: libpq's asynchronous calls before version 17 hang on larger records."""

HIGH_WATER = 256 * 1024

CHECK_SECONDS = 0.5
"""Interval at which a paused connection is checked for the peer's disconnect."""

_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class LinkClosed(ConnectionError):
    """The peer disconnected in the middle of an exchange."""


class Link(asyncio.Protocol):
    """Bytes are awaited with `receive`; after `stream` was called they go to a callback as they arrive."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[], None] | None = None
        self._peer: Link | None = None
        self._pause_reasons: set[str] = set()  # reading is paused while there is one
        self._tls = False
        self._detects_disconnect = False  # check for the peer's disconnect while reading is paused
        self._check_timer: asyncio.TimerHandle | None = None
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
            self.pause("unread")
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
            self._peer.resume("peer is full")
        if self._on_lost is not None:
            self._on_lost()
        # Break the reference cycle of the two links and the session: no cycle collection is needed to free them.
        self._on_data = self._on_lost = self._peer = self._transport = None

    def pause_writing(self) -> None:
        if self._peer is not None:
            self._peer.pause("peer is full")

    def resume_writing(self) -> None:
        if self._peer is not None:
            self._peer.resume("peer is full")

    # --- what a session uses ---

    def detail(self, name: str) -> object:
        """A fact about the transport: `ssl_object`, `peername`, ..."""
        return None if self._transport is None else self._transport.get_extra_info(name)

    @property
    def closed(self) -> bool:
        return self._eof

    async def receive(self) -> bytes:
        """The bytes received, at least one; b"" after the peer closed the connection."""
        while not self._buffer:
            if self._eof:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = bytes(self._buffer)
        self._buffer.clear()
        self.resume("unread")
        return data

    def stream(self, on_data: Callable[[bytes], None], on_lost: Callable[[], None], *, peer: Link) -> None:
        """From now on pass data to `on_data` as it arrives, buffered data first."""
        if not self.lost.done():
            self._on_data, self._on_lost = on_data, on_lost
            self._peer = peer
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            self.resume("unread")
            on_data(data)
        if self._eof:
            on_lost()

    def back_pressure(self, peer: Link) -> None:
        """Pause reading from `peer` while this side's send buffer is full.

        From now on the disconnect of this side is also detected while reading from it is paused.
        """
        self._peer = peer
        self._detects_disconnect = True

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

    def pause(self, reason: str) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not self._pause_reasons:
            self._transport.pause_reading()
            if self._detects_disconnect and self._check_timer is None:
                self._check_timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._check_disconnect)
        self._pause_reasons.add(reason)

    def resume(self, reason: str) -> None:
        if reason not in self._pause_reasons:
            return
        self._pause_reasons.discard(reason)
        if not self._pause_reasons and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _check_disconnect(self) -> None:
        """Unread bytes hide the end of the stream: poll the socket, as PostgreSQL does while it runs a statement."""
        self._check_timer = None
        if not self._pause_reasons or self._transport is None or self._transport.is_closing():
            return
        poller = select.poll()
        poller.register(self._transport.get_extra_info("socket").fileno(), _GONE)
        if poller.poll(0):
            self._transport.abort()
        else:
            self._check_timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._check_disconnect)

    async def close(self, grace: float = 1.0) -> None:
        """Send the buffered bytes, then close. After `grace` seconds close without sending the rest."""
        if self._transport is None:
            return
        self._transport.close()
        try:
            await asyncio.wait_for(asyncio.shield(self.lost), grace)
        except TimeoutError:
            self.abort()  # the connection may have been lost just as the grace ended

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None
