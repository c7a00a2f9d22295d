"""From an accepted socket to the first message inside TLS, without losing a byte or using one too many.

Decides which requests may come before TLS and in which order. A socket stays raw until TLS is due: the event
loop's own upgrade loses bytes that were read too far. Knows no session and writes nothing down.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass

from pgjit.errors import ProtocolFault
from pgjit.proxy.door.startup_request import unsupported_version
from pgjit.server.link import Link, LinkClosed
from pgwire.errors import RemoteProtocolError
from pgwire.messages.startup import (
    CancelRequest,
    EncryptionRequest,
    OtherVersion,
    StartupLayoutError,
    StartupMessage,
    decode_startup,
    startup_length,
)

__all__ = [
    "ALPN",
    "ClosedWithoutData",
    "TlsHandshake",
    "before_tls",
    "first_message",
    "keep_alive",
    "start_tls",
    "tls_text",
]

ALPN = "postgresql"
_TLS_RECORD = b"\x16"
_TLS_SECONDS = 300.0  # the caller's own deadline is what counts

# A client that vanished is noticed: after a minute of silence it is probed. The last one also ends a client that
# is there and does not read for so long; its loss is counted in minutes, so that a reader may pause.
_KEEP_ALIVE = {
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPALIVE": 60,  # the same under the name that macOS gives it
    "TCP_KEEPINTVL": 20,
    "TCP_KEEPCNT": 6,
    "TCP_USER_TIMEOUT": 180_000,
}


class ClosedWithoutData(LinkClosed):
    """The peer connected and left without a byte: whoever looks whether the port is open does that."""


@dataclass(frozen=True, slots=True)
class TlsHandshake:
    """The next bytes are the client's TLS handshake; `direct`: it did not ask before."""

    direct: bool


def keep_alive(client: socket.socket) -> None:
    """Send without delay, and notice a peer that is gone, as far as this system can."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            client.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


# --- before TLS ----------------------------------------------------------------------------------------


async def before_tls(client: socket.socket) -> TlsHandshake | StartupMessage | CancelRequest:
    """Answer requests for encryption until something else is due.

    Raises RemoteProtocolError and LinkClosed (ClosedWithoutData is a subclass of it). No byte that arrived before `S`
    was sent is read after it.
    """
    loop = asyncio.get_running_loop()
    try:
        first = await _peek(client)
    except ConnectionError as fault:
        raise ClosedWithoutData(str(fault)) from None
    if not first:
        raise ClosedWithoutData("the client left without a word")
    if first == _TLS_RECORD:
        return TlsHandshake(direct=True)
    asked_gss = False
    while True:
        message = decode_startup(await _read_startup(client))
        if isinstance(message, OtherVersion):
            raise RemoteProtocolError(f"unsupported frontend protocol {message.major}.{message.minor}")
        if not isinstance(message, EncryptionRequest):
            return message
        if message.gss and asked_gss:
            raise RemoteProtocolError("a second request for GSSAPI encryption")
        if _stuffed(client):
            raise RemoteProtocolError("received unencrypted data after a request for encryption")
        if not message.gss:
            await loop.sock_sendall(client, b"S")
            return TlsHandshake(direct=False)
        asked_gss = True
        await loop.sock_sendall(client, b"N")


async def _peek(client: socket.socket) -> bytes:
    """The first byte, left where it is. b"" at the end of the stream."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return client.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            readable = asyncio.Event()
            loop.add_reader(client, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(client)


def _stuffed(client: socket.socket) -> bool:
    """Whether bytes wait behind a request for encryption: somebody in between may have sent them."""
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


async def _read_startup(client: socket.socket) -> bytes:
    return await _exactly(client, startup_length(await _exactly(client, 4)))


async def _exactly(client: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        piece = await loop.sock_recv(client, count - len(data))
        if not piece:
            raise LinkClosed("the client left before TLS was up")
        data += piece
    return data


# --- TLS -----------------------------------------------------------------------------------------------


async def start_tls(client: socket.socket, tls: ssl.SSLContext, *, direct: bool) -> Link:
    """Raises OSError (ssl.SSLError is one), RemoteProtocolError. `client` is empty afterwards: one file a client."""
    loop = asyncio.get_running_loop()
    client_socket = socket.socket(fileno=client.detach())  # the transport closes it
    client_socket.setblocking(False)
    link = Link()  # uvloop returns a protocol of its own here
    try:
        await loop.connect_accepted_socket(lambda: link, client_socket, ssl=tls, ssl_handshake_timeout=_TLS_SECONDS)
    except BaseException:
        client_socket.close()
        raise
    chosen = getattr(link.detail("ssl_object"), "selected_alpn_protocol", lambda: None)()
    if direct and chosen != ALPN:
        link.abort()
        raise RemoteProtocolError("direct TLS without ALPN")
    return link


def tls_text(link: Link) -> str:
    tls = link.detail("ssl_object")
    version = getattr(tls, "version", lambda: None)()
    cipher = getattr(tls, "cipher", lambda: None)()
    return f"{version or 'unknown'} {cipher[0] if cipher else 'unknown'}"


# --- inside TLS ----------------------------------------------------------------------------------------


async def first_message(link: Link) -> StartupMessage | CancelRequest:
    """The one message that comes before we speak.

    Raises PgjitError for what PostgreSQL answers with an error, RemoteProtocolError for what it closes the
    connection on without a word, LinkClosed.
    """
    data = b""
    while len(data) < 4 or len(data) < 4 + startup_length(data[:4]):
        more = await link.receive()
        if not more:
            raise LinkClosed("the client left before its startup message")
        data += more
    end = 4 + startup_length(data[:4])
    try:
        message = decode_startup(data[4:end])
    except StartupLayoutError as fault:
        raise ProtocolFault(str(fault)) from None
    if isinstance(message, EncryptionRequest | OtherVersion):  # a request is a version number to who expects one
        code = int.from_bytes(data[4:8])
        raise unsupported_version(code >> 16, code & 0xFFFF)
    if len(data) > end:
        raise RemoteProtocolError("bytes behind the first message that nothing asked for")
    return message
