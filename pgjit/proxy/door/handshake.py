"""From an accepted socket to the first message inside TLS.

Decides which requests may come before TLS, and in which order. Does not know sessions, and records nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass

from pgjit.errors import ProtocolFault
from pgjit.proxy.door.startup_request import unsupported_version
from pgjit.server.link import Link
from pgjit.server.link_waits import LinkClosed
from pgjit.server.tls_handshake import do_handshake
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
from pgwire.proxy_header import begins_proxy_header

__all__ = [
    "ALPN",
    "ClosedWithoutData",
    "TlsHandshake",
    "before_tls",
    "first_byte",
    "first_message",
    "peek",
    "set_keepalive",
    "start_tls",
    "tls_version_and_cipher",
]

ALPN = "postgresql"
_TLS_RECORD = b"\x16"

# Detects a client that vanished: after a minute of silence it is probed. TCP_USER_TIMEOUT also ends a client that
# does not read; it is set to minutes, so that a client may pause.
_KEEP_ALIVE = {
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPALIVE": 60,  # the same under the name that macOS gives it
    "TCP_KEEPINTVL": 20,
    "TCP_KEEPCNT": 6,
    "TCP_USER_TIMEOUT": 180_000,
}


class ClosedWithoutData(LinkClosed):
    """The peer closed the connection without sending a byte: a port check."""


@dataclass(frozen=True, slots=True)
class TlsHandshake:
    """The next bytes are the client's TLS handshake. `direct`: without an SSLRequest before it."""

    direct: bool


def set_keepalive(client: socket.socket) -> None:
    """Set TCP_NODELAY, and the keepalive options that this system has."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            client.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


# --- before TLS ----------------------------------------------------------------------------------------


async def before_tls(client: socket.socket) -> TlsHandshake | StartupMessage | CancelRequest:
    """Answer requests for encryption until another message or a TLS handshake comes.

    Raises RemoteProtocolError and LinkClosed (ClosedWithoutData is a subclass). No byte that arrived before `S`
    was sent is read after it.
    """
    loop = asyncio.get_running_loop()
    if await first_byte(client) == _TLS_RECORD:
        return TlsHandshake(direct=True)
    gss_requested = False
    while True:
        message = decode_startup(await _read_startup(client))
        if isinstance(message, OtherVersion):
            raise RemoteProtocolError(f"unsupported frontend protocol {message.major}.{message.minor}")
        if not isinstance(message, EncryptionRequest):
            return message
        if message.gss and gss_requested:
            raise RemoteProtocolError("a second request for GSSAPI encryption")
        if _has_unread_bytes(client):
            raise RemoteProtocolError("received unencrypted data after a request for encryption")
        if not message.gss:
            await loop.sock_sendall(client, b"S")
            return TlsHandshake(direct=False)
        gss_requested = True
        await loop.sock_sendall(client, b"N")


async def first_byte(client: socket.socket) -> bytes:
    """The first byte, left in the socket. Raises ClosedWithoutData."""
    try:
        data = await peek(client, 1)
    except ConnectionError as fault:
        raise ClosedWithoutData(str(fault)) from None
    if not data:
        raise ClosedWithoutData("the client left without a byte")
    return data


async def peek(client: socket.socket, most: int) -> bytes:
    """The next bytes, left in the socket. b"" at the end of the stream."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return client.recv(most, socket.MSG_PEEK)
        except BlockingIOError:
            readable = asyncio.Event()
            loop.add_reader(client, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(client)


def _has_unread_bytes(client: socket.socket) -> bool:
    """Whether bytes follow a request for encryption: an attacker may have injected them."""
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


async def _read_startup(client: socket.socket) -> bytes:
    head = await _receive_exactly(client, 4)
    if begins_proxy_header(head):
        raise RemoteProtocolError("a PROXY protocol header that is not expected (`listen.proxy_protocol`)")
    return await _receive_exactly(client, startup_length(head))


async def _receive_exactly(client: socket.socket, count: int) -> bytes:
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
    """Takes over `client`. Raises OSError (ssl.SSLError is a subclass) and RemoteProtocolError."""
    encrypted = await do_handshake(client, tls)
    if direct and encrypted.selected_alpn_protocol() != ALPN:
        encrypted.close()
        raise RemoteProtocolError("direct TLS without ALPN")
    return Link(encrypted)


def tls_version_and_cipher(link: Link) -> str:
    version, cipher = (None, None) if link.tls is None else (link.tls.version(), link.tls.cipher())
    return f"{version or 'unknown'} {cipher[0] if cipher else 'unknown'}"


# --- inside TLS ----------------------------------------------------------------------------------------


async def first_message(link: Link) -> StartupMessage | CancelRequest:
    """The startup message or cancel request inside TLS.

    Raises PgjitError where PostgreSQL answers with an error, RemoteProtocolError where it closes the connection
    without one, and LinkClosed.
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
    if isinstance(message, EncryptionRequest | OtherVersion):  # read as a protocol version here, as PostgreSQL does
        code = int.from_bytes(data[4:8])
        raise unsupported_version(code >> 16, code & 0xFFFF)
    if len(data) > end:
        raise RemoteProtocolError("bytes behind the first message that nothing requested")
    return message
