"""A client that sends bytes: plain or TLS, in pieces of any size, cut off after any number of bytes.

`cut_after` counts bytes on the wire, TLS records included, so the cut may fall anywhere in a handshake. The client
reads frames, and knows nothing else of the protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

from pgwire.framing import FrameReader
from pgwire.messages.authentication import decode_backend_key_data, encode_password
from pgwire.messages.query import decode_error
from pgwire.messages.startup import encode_ssl_request, encode_startup

__all__ = ["Cut", "ScriptedClient", "trusting"]

ReceivedFrame = tuple[str, bytes]


class Cut(Exception):
    """The client sent its last byte and closed."""


def trusting(authority: Path, *, alpn: str | None = "postgresql") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority))
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    return context


class ScriptedClient:
    """`async with await ScriptedClient.open(port) as client:`; leaving it closes the socket."""

    def __init__(self, raw: socket.socket, cut_after: int | None) -> None:
        self._socket = raw
        self._cut_after = cut_after
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._reader = FrameReader(lambda _: 1 << 24)
        self._frames: list[ReceivedFrame] = []
        self.sent = 0  # bytes on the wire
        self.piece = 0  # limit on the bytes of one send; 0: all at once
        self.pause = 0.0  # seconds between two sends

    @classmethod
    async def open(cls, port: int, *, cut_after: int | None = None, host: str = "127.0.0.1") -> ScriptedClient:
        raw = socket.socket()
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(raw, (host, port))
        return cls(raw, cut_after)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def address(self) -> object:
        return self._socket.getsockname()

    # --- sending ---------------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Send inside TLS if it was started. Raises Cut at `cut_after`."""
        if self._tls is None:
            await self._send_raw(data)
            return
        self._tls.write(data)
        await self._send_raw(self._outgoing.read())

    async def send_raw(self, data: bytes) -> None:
        """Send outside TLS, even if it was started."""
        await self._send_raw(data)

    async def _send_raw(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        allowed = len(data) if self._cut_after is None else min(len(data), self._cut_after - self.sent)
        step = self.piece or max(allowed, 1)
        for at in range(0, allowed, step):
            await loop.sock_sendall(self._socket, data[at : min(at + step, allowed)])
            await asyncio.sleep(self.pause)
        self.sent += allowed
        if self._cut_after is not None and self.sent >= self._cut_after:
            self._socket.close()
            raise Cut

    def reset(self) -> None:
        """Reset the connection: the peer reads an error, not an end of the stream."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    # --- TLS -------------------------------------------------------------------------------------------

    async def request_encryption(self, request: bytes) -> bytes:
        """Send a request for encryption; returns the answer of one byte, or b"" if there is none."""
        await self.send(request)
        return await self._receive_raw(1)

    async def start_tls(self, context: ssl.SSLContext, *, direct: bool = False) -> None:
        """Raises ssl.SSLError, and ConnectionError if the peer ends the handshake."""
        if not direct:
            assert await self.request_encryption(encode_ssl_request()) == b"S"
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._send_raw(self._outgoing.read())
                data = await self._receive_raw()
                if not data:
                    raise ConnectionResetError("closed during the TLS handshake") from None
                self._incoming.write(data)
        await self._send_raw(self._outgoing.read())
        self._tls = tls

    # --- reading ---------------------------------------------------------------------------------------

    async def receive(self) -> bytes:
        """The next bytes; b"" at the end of the stream or a reset."""
        if self._tls is None:
            return await self._receive_raw()
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                data = await self._receive_raw()
                if not data:
                    return b""
                self._incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""

    async def _receive_raw(self, most: int = 65536) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, most)
        except ConnectionError:
            return b""

    async def frame(self) -> ReceivedFrame | None:
        """The next message as (type, body); None at the end."""
        while not self._frames:
            data = await self.receive()
            if not data:
                return None
            self._frames = [(chr(frame.kind), frame.body) for frame in self._reader.feed(data)]
        return self._frames.pop(0)

    async def frames(self, until: str = "") -> list[ReceivedFrame]:
        """The messages up to one of the types in `until`, or up to the end."""
        received: list[ReceivedFrame] = []
        while (frame := await self.frame()) is not None:
            received.append(frame)
            if frame[0] in until:
                break
        return received

    async def error(self) -> dict[str, str]:
        """The fields of the one ErrorResponse with which the peer closes; {} if it closes without one."""
        received = await self.frames()
        assert [kind for kind, _ in received] in (["E"], []), received
        return decode_error(received[0][1]) if received else {}

    async def log_in(self, parameters: dict[str, str], token: str, *, minor: int = 0) -> tuple[int, bytes]:
        """From the startup message to ReadyForQuery, with the token as password.

        Returns the cancel key: pid and secret.
        """
        await self.send(encode_startup(parameters, minor=minor))
        await self.frames(until="RE")
        await self.send(encode_password(token.encode()))
        received = await self.frames(until="ZE")
        assert received[-1] == ("Z", b"I"), received
        return next(decode_backend_key_data(body) for kind, body in received if kind == "K")

    async def ended(self) -> bool:
        """Whether the stream ends without further bytes."""
        with contextlib.suppress(ssl.SSLError):
            return await self.receive() == b""
        return True
