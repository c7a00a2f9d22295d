"""The other end of a link: a raw socket, with TLS done in memory, so that a test decides what goes over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

from tests.fakes.certificate_authority import Authority

__all__ = ["Certificates", "TlsPeer", "tcp_pair"]


class Certificates:
    """A context for each side."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        pair = authority.server("localhost")
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.num_tickets = 0  # as the listener has it
        self.server.load_cert_chain(pair.certificate, pair.key)
        self.client = ssl.create_default_context(cafile=str(authority.root))


def tcp_pair(*, send_buffer: int = 0, receive_buffer: int = 0) -> tuple[socket.socket, socket.socket]:
    """Two connected, non-blocking sockets. The buffers are those of the first and of the second."""
    with socket.socket() as listener:
        if receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        one = socket.socket()
        if send_buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
    for each in (one, other):
        each.setblocking(False)
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other


class TlsPeer:
    """`records`: the lengths of the records that came, as they are on the wire. Without a context: plain text."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext | None = None) -> None:
        self.raw = raw
        self.records: list[int] = []
        self._wire = b""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = None if context is None else context.wrap_bio(self._in, self._out, server_hostname="localhost")

    async def shake_hands(self) -> None:
        assert self._tls is not None
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send_out()
                await self._take_in()
            else:
                break
        await self._send_out()
        self.records.clear()

    async def send(self, data: bytes) -> None:
        if self._tls is None:
            await asyncio.get_running_loop().sock_sendall(self.raw, data)
        else:
            self._tls.write(data)
            await self._send_out()

    async def receive(self) -> bytes:
        """Some bytes; b"" at close_notify or, without TLS, at the end."""
        if self._tls is None:
            return await asyncio.get_running_loop().sock_recv(self.raw, 65536)
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                await self._take_in()
            except ssl.SSLZeroReturnError:
                return b""

    async def read_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = await self.receive()
            assert piece, f"the end after {len(data)} bytes"
            data += piece
        return data

    async def notify(self) -> None:
        """Send close_notify."""
        assert self._tls is not None
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        await self._send_out()

    def reset(self) -> None:
        """Close with a reset in place of an end."""
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.raw.close()

    async def _send_out(self) -> None:
        await asyncio.get_running_loop().sock_sendall(self.raw, self._out.read())

    async def _take_in(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self.raw, 65536)
        if not data:
            raise ConnectionError("the end without close_notify")
        self._in.write(data)
        self._wire += data
        while len(self._wire) >= 5 and len(self._wire) >= 5 + (length := int.from_bytes(self._wire[3:5])):
            self.records.append(length)
            self._wire = self._wire[5 + length :]
