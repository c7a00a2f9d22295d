"""One side of a session: a non-blocking socket, with or without TLS, its buffers, and back-pressure on its peer.

Decides when the socket is read and written, and when the connection is over. Does not know what the bytes mean, nor
how the connection was made. INVARIANT: over TLS, bytes pass through `SSLSocket.read` and `write` only, which never
fall back to plain text.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any, Final

from pgjit.server.link_waits import ended, received
from pgjit.server.readiness import GONE, READ, WRITE, Readiness

__all__ = ["HIGH_WATER", "RECORD", "Link"]

RECORD: Final = 8192
"""Bytes of one TLS record, at most: libpq's asynchronous calls before version 17 hang on larger ones."""

HIGH_WATER: Final = 256 * 1024
_LOW_WATER: Final = HIGH_WATER // 4
_PLAIN_READ: Final = 64 * 1024
_LARGE_READ: Final = 128 * 1024
"""For a plain socket that has filled a smaller one: a big result takes half of the turns."""
_TLS_READ: Final = 16 * 1024
"""The largest record: a read takes all of it. No event would report a rest that stays in OpenSSL."""
_MORE_IS_LIKELY: Final = 8 * 1024
"""After so many bytes it is read again at once: PostgreSQL sends in pieces of this size."""
_NOTHING: Final[deque[bytes | memoryview]] = deque()  # of links that never had to wait: a deque takes 760 bytes
_MOST_AT_ONCE: Final = 128 * 1024  # that a link reads or writes before the other sockets get their turn


class _State(Enum):
    OPEN = auto()
    READING_ON = auto()  # the peer accepts nothing more; what it sent before is read to its end
    SENDING = auto()  # being closed, or the peer sends nothing more: the rest of the output is sent
    NOTIFYING = auto()  # close_notify is to be sent
    LINGERING = auto()  # everything was sent; the peer's end is waited for, so that no reset overtakes the last bytes
    LOST = auto()


_OPEN: Final = _State.OPEN


class Link:
    """Bytes are awaited with `receive`; after `stream` was called they go to a callback as they arrive."""

    def __init__(self, connected: socket.socket) -> None:
        """`connected`: a non-blocking socket, which the link closes. Over TLS: after the handshake."""
        self._socket = connected
        self.descriptor = connected.fileno()
        self.tls = connected if isinstance(connected, ssl.SSLSocket) else None
        self._read: Callable[[int], bytes] = connected.recv if self.tls is None else self.tls.read
        self._send: Callable[[bytes | memoryview], int] = connected.send if self.tls is None else self.tls.write
        self._most_read = _PLAIN_READ if self.tls is None else _TLS_READ
        self._state = _OPEN
        self._buffer = bytearray()  # received, and not taken
        self._output = _NOTHING  # to be sent
        self._output_size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[], None] | None = None
        self._peer: Link | None = None
        self._holds_peer = False
        self._pause_reasons: set[str] = set()  # reading is paused while there is one
        self._detects_disconnect = False  # watch for the peer's disconnect while reading is paused
        self._read_needs_write = False  # TLS must send something before it can read on
        self._write_needs_read = False
        self._eof = False
        self.loss_reason: Exception | None = None
        self.lost = asyncio.get_running_loop().create_future()
        self._readiness = Readiness.of_running_loop()
        self._readiness.add(self.descriptor, self._ready)
        self._watch()

    # --- what a session uses ---

    @property
    def closed(self) -> bool:
        return self._eof

    @property
    def is_unix(self) -> bool:
        return self._socket.family == socket.AF_UNIX

    def receive(self) -> Coroutine[Any, Any, bytes]:
        """The bytes received, at least one; b"" after the peer closed the connection."""
        return received(self._take, self._next_data)

    def _take(self) -> bytes | None:
        if not self._buffer:
            return b"" if self._eof else None
        data = bytes(self._buffer)
        self._buffer.clear()
        self.resume("unread")
        return data

    def _next_data(self) -> asyncio.Future[None]:
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        return waiter

    def stream(
        self,
        on_data: Callable[[bytes], None],
        on_lost: Callable[[], None],
        *,
        peer: Link,
        detects_disconnect: bool = False,
    ) -> None:
        """From now on pass data to `on_data` as it arrives, buffered data first; the callbacks run in this context.

        `on_lost` is called once, when the connection ends. Reading from `peer` pauses while the send buffer is full.
        `detects_disconnect`: the end is also noticed while reading is paused; unread data is lost then.
        """
        if self._state is not _State.LOST:
            self._peer = peer
            self._detects_disconnect = detects_disconnect
            self._readiness.use_context(self.descriptor)
            self._watch()
        if not self._eof:
            self._on_data, self._on_lost = on_data, on_lost
        if self._buffer and (data := self._take()):
            on_data(data)
        if self._eof and self._on_lost is None:
            on_lost()

    def write(self, data: bytes) -> None:
        """Send what the socket takes now, and the rest later."""
        if not data or self._state is not _OPEN:
            return
        if self._output:
            self._queue(data)
        else:
            try:
                sent = self._send(data) if len(data) <= RECORD else self._send_pieces(data)
            except OSError as fault:
                sent = self._not_sent(fault)
            if sent == len(data) or self._state is not _OPEN:
                return
            self._queue(memoryview(data)[sent:] if sent else data)
        self._output_changed()

    def pause(self, reason: str) -> None:
        self._pause_reasons.add(reason)
        self._watch()

    def resume(self, reason: str) -> None:
        if reason in self._pause_reasons:
            self._pause_reasons.discard(reason)
            self._watch()

    def close(self, grace: float = 1.0) -> Coroutine[Any, Any, None]:
        """Send the buffered bytes, then close. After `grace` seconds close without sending the rest."""
        if self._state in (_OPEN, _State.READING_ON):
            self._state = _State.SENDING
            self._flush()
            self._output_changed()
        return ended(self.lost, grace, self.abort)

    def abort(self) -> None:
        self._drop(None)

    # --- events of the socket ---

    def _watch(self) -> None:
        if self._state is _State.LOST:
            return
        events = 0
        if self._state is _State.LINGERING or self._write_needs_read:
            events = READ
        elif self._state in (_OPEN, _State.READING_ON):
            if not self._pause_reasons:
                events = READ
            elif self._detects_disconnect:
                events = GONE
        blocked = bool(self._output) and not self._write_needs_read
        to_read = self._read_needs_write and not self._pause_reasons  # else nobody would take the event
        if blocked or to_read or self._state is _State.NOTIFYING:
            events |= WRITE
        self._readiness.watch(self.descriptor, events)

    def _ready(self, events: int) -> None:
        try:
            if self._output and (self._write_needs_read or events != READ):
                self._flush()
                self._output_changed()
            elif self._state is _State.NOTIFYING:
                self._notify()
            if self._state is _OPEN or self._state is _State.READING_ON:
                if not self._pause_reasons:
                    if events != WRITE or self._read_needs_write:
                        self._receive()
                elif events & ~(READ | WRITE):  # unread bytes hide the end of the stream
                    self._drop(None)
            elif self._state is _State.LINGERING:
                self._discard()
        except Exception as fault:  # noqa: BLE001 - a fault of our own must end the session, not leave it hanging
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a link's callback failed", "exception": fault}
            )
            self._drop(fault)

    # --- receiving ---

    def _receive(self) -> None:
        if self._read_needs_write:
            self._read_needs_write = False
            self._watch()
        left = _MOST_AT_ONCE
        while True:
            try:
                data = self._read(self._most_read)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except ssl.SSLWantWriteError:
                self._read_needs_write = True
                self._watch()
                return
            except OSError as fault:
                self._drop(fault)
                return
            if not (size := len(data)):
                self._end_of_stream()
                return
            if self._on_data is not None:
                self._on_data(data)
            else:
                self._keep(data)
            left -= size
            if size == _PLAIN_READ:
                self._most_read = _LARGE_READ
            if size < _MORE_IS_LIKELY or left <= 0 or self._pause_reasons or self._state is not _OPEN:
                return

    def _keep(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > HIGH_WATER:
            self.pause("unread")
        self._wake()

    def _end_of_stream(self) -> None:
        """The peer sends nothing more. As the session ends with it, only what is buffered is still sent."""
        self._eof = True
        self._wake()
        asyncio.get_running_loop().call_soon(self._report_end)
        self._state = _State.SENDING
        self._flush()
        self._output_changed()

    def _discard(self) -> None:
        """Read what the peer still sends, past TLS: nobody looks at it."""
        try:
            for _ in range(_MOST_AT_ONCE // _PLAIN_READ):  # the peer may never stop sending
                if not socket.socket.recv(self._socket, _PLAIN_READ):
                    break
            else:
                return
        except BlockingIOError:
            return
        except OSError as fault:
            self._drop(fault)
            return
        self._drop(None)

    # --- sending ---

    def _send_pieces(self, data: bytes) -> int:
        """Send what the socket takes of it now, over TLS in records. Returns how much that was."""
        view, at, most = memoryview(data), 0, RECORD if self.tls is not None else _MOST_AT_ONCE
        try:
            while at < min(len(data), _MOST_AT_ONCE):
                at += (sent := self._send(piece := view[at : at + most]))
                if sent < len(piece):
                    break
        except OSError as fault:
            self._not_sent(fault)
        return at

    def _queue(self, data: bytes | memoryview) -> None:
        self._output_size += len(data)
        self._output = self._output or deque()
        if self.tls is None or len(data) <= RECORD:
            self._output.append(data)
            return
        view = memoryview(data)
        self._output.extend([view[at : at + RECORD] for at in range(0, len(view), RECORD)])

    def _not_sent(self, fault: OSError) -> int:
        """Nothing was sent. If it is only too early, the same bytes must be passed to TLS again, unchanged."""
        if isinstance(fault, ssl.SSLWantReadError):
            self._write_needs_read = True
        elif not isinstance(fault, BlockingIOError | ssl.SSLWantWriteError):
            self._cannot_write(fault)
        return 0

    def _flush(self) -> None:
        self._write_needs_read = False
        left = _MOST_AT_ONCE
        while self._output and left > 0:
            piece = self._output[0]
            try:
                sent = self._send(piece)
            except OSError as fault:
                self._not_sent(fault)
                return
            self._output_size -= sent
            left -= sent
            if sent == len(piece):
                self._output.popleft()
            else:
                self._output[0] = memoryview(piece)[sent:]

    def _output_changed(self) -> None:
        """Hold or release the peer; take the next step of closing when everything was sent."""
        peer = self._peer
        if peer is not None:
            if not self._holds_peer and self._output_size > HIGH_WATER:
                self._holds_peer = True
                peer.pause("peer is full")
            elif self._holds_peer and self._output_size <= _LOW_WATER:
                self._holds_peer = False
                peer.resume("peer is full")
        if self._state is _State.SENDING and not self._output:
            self._notify()
        self._watch()

    def _cannot_write(self, fault: OSError) -> None:
        """The peer accepts nothing more. What it sent before is read: a server that ends says why."""
        self._output.clear()
        self._output_size = 0
        left = isinstance(fault, BrokenPipeError | ConnectionResetError | ssl.SSLEOFError)
        if left and self._state is _OPEN and not self._pause_reasons:
            self.loss_reason = fault
            self._state = _State.READING_ON
            self._output_changed()
        else:
            self._drop(fault)

    # --- the end ---

    def _notify(self) -> None:
        """Everything was sent. Over TLS, send close_notify and wait for the peer's end."""
        self._state = _State.NOTIFYING
        if self.tls is not None:
            try:
                self.tls.unwrap()
            except ssl.SSLWantWriteError:
                self._watch()
                return
            except (OSError, ValueError):
                pass  # sent, and the peer's own has yet to come; or the peer is gone, which reading will show
            if not self._eof:
                self._linger()
                return
        self._drop(None)

    def _linger(self) -> None:
        self._state = _State.LINGERING
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as fault:
            self._drop(fault)
        self._watch()

    def _drop(self, fault: Exception | None) -> None:
        """Close the socket now, and report the loss in the loop's next iteration."""
        if self._state is _State.LOST:
            return
        self._state = _State.LOST
        self._eof = True
        self.loss_reason = fault or self.loss_reason
        self._output.clear()
        self._readiness.forget(self.descriptor)
        self._socket.close()
        self._wake()
        if self._holds_peer and self._peer is not None:
            self._peer.resume("peer is full")
        asyncio.get_running_loop().call_soon(self._report_loss)

    def _report_end(self) -> None:
        on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            on_lost()

    def _report_loss(self) -> None:
        self.lost.set_result(None)
        self._report_end()
        # Break the reference cycle of the two links and the session: no cycle collection is needed to free them.
        self._on_data = self._peer = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None
