"""From a host name to a link ready for the login: address resolution, socket, TLS.

Decides how certificates are verified and which keepalive settings detect a dead link. Does not know what is sent over
the link.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from pgjit.server.link import Link
from pgjit.server.login_error import LoginAttempt, LoginFailed
from pgjit.server.target import Host, Keepalive, SslMode, Target
from pgjit.server.tls_handshake import do_handshake
from pgwire.messages.startup import encode_ssl_request

__all__ = ["Address", "dial", "peer_certificate", "resolve", "tls_context", "tls_reason"]

_TLS_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """One address of one host. A cancel request later goes to the same address."""

    host: Host
    family: int
    sockaddr: str | tuple[object, ...]

    def __str__(self) -> str:
        if isinstance(self.sockaddr, str) or self.sockaddr[0] == self.host.name:
            return str(self.host)
        return f"{self.host} ({self.sockaddr[0]})"


async def resolve(host: Host) -> list[Address]:
    """All addresses of `host`, in the resolver's order. Raises LoginFailed."""
    if host.is_unix:
        return [Address(host, socket.AF_UNIX, str(host))]
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host.name, host.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        reason = getattr(fault, "strerror", None) or "it is not a host name"
        raise LoginFailed(str(host), "resolving", reason, try_next=True) from None
    return list(dict.fromkeys(Address(host, family, sockaddr) for family, _, _, _, sockaddr in infos))


async def dial(target: Target, address: Address, attempt: LoginAttempt) -> Link:
    """Connect, with TLS as the target requires. Raises LoginFailed. `attempt.step` names the current step."""
    encrypted = address.family != socket.AF_UNIX and target.sslmode is not SslMode.DISABLE
    context = _context(target, attempt) if encrypted else None
    attempt.step = "connecting"
    plain = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        plain.setblocking(False)
        await _connect(plain, address, target.keepalive, attempt)
        if context is None:
            return Link(plain)
        attempt.step = "starting TLS"
        await _request_tls(plain, attempt)
    except BaseException:
        plain.close()
        raise
    return Link(await _start_tls(plain, context, address.host.name, attempt))


async def _connect(plain: socket.socket, address: Address, keepalive: Keepalive, attempt: LoginAttempt) -> None:
    try:
        if address.family != socket.AF_UNIX:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _keep_alive(plain, keepalive)
        await asyncio.get_running_loop().sock_connect(plain, address.sockaddr)
    except OSError as fault:
        raise attempt.failed(fault.strerror or str(fault), try_next=True) from None


def _keep_alive(plain: socket.socket, keepalive: Keepalive) -> None:
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", keepalive.idle),
        ("TCP_KEEPINTVL", keepalive.interval),
        ("TCP_KEEPCNT", keepalive.count),
        ("TCP_USER_TIMEOUT", keepalive.user_timeout),
    ):
        # Not every system has all of these options.
        if value and hasattr(socket, option):
            plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


async def _request_tls(plain: socket.socket, attempt: LoginAttempt) -> None:
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(plain, encode_ssl_request())
        # Read one byte only: bytes that an attacker injected behind it stay in the socket and fail the handshake.
        answer = await loop.sock_recv(plain, 1)
    except OSError as fault:
        raise attempt.failed(fault.strerror or str(fault), try_next=True) from None
    if not answer:
        raise attempt.failed("the server closed the connection", try_next=True)
    if answer != b"S":
        raise attempt.failed("the server does not offer TLS")


async def _start_tls(
    plain: socket.socket, context: ssl.SSLContext, name: str, attempt: LoginAttempt
) -> ssl.SSLSocket:
    try:
        async with asyncio.timeout(_TLS_SECONDS):
            return await do_handshake(plain, context, server_name=name)
    except TimeoutError:
        raise attempt.failed(f"no answer within {_TLS_SECONDS:g} s", try_next=True) from None
    except ssl.SSLCertVerificationError as fault:
        attempt.step = "verifying certificate"
        raise attempt.failed(fault.verify_message or "it is not valid") from None
    except ssl.SSLError as fault:
        raise attempt.failed(tls_reason(fault)) from None
    except OSError as fault:
        raise attempt.failed(fault.strerror or "the server closed the connection", try_next=True) from None


def tls_reason(fault: ssl.SSLError) -> str:
    """OpenSSL's reason in words: `TLSV1_ALERT_UNKNOWN_CA` becomes `tlsv1 alert unknown ca`."""
    return (fault.reason or "handshake failed").lower().replace("_", " ")


def _context(target: Target, attempt: LoginAttempt) -> ssl.SSLContext:
    attempt.step = "reading certificates"
    try:
        return tls_context(target)
    except ssl.SSLError as fault:
        raise attempt.failed(tls_reason(fault)) from None
    except (OSError, ValueError) as fault:
        raise attempt.failed(getattr(fault, "strerror", None) or str(fault)) from None


def tls_context(target: Target) -> ssl.SSLContext:
    """The rules of the target's `sslmode` and its files. Raises OSError (ssl.SSLError is one) or ValueError."""
    files = (target.sslrootcert, target.sslcert, target.sslkey)
    return _load(target.sslmode, *files, tuple(_stamp(path) for path in files))


def _stamp(path: str | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    status = Path(path).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@functools.lru_cache(maxsize=32)
def _load(
    mode: SslMode,
    root: str | None,
    certificate: str | None,
    key: str | None,
    stamps: tuple[tuple[int, int, int] | None, ...],  # noqa: ARG001 - part of the cache key: changed files are read again
) -> ssl.SSLContext:
    """Raises OSError (ssl.SSLError is a subclass) or ValueError."""
    context = ssl.create_default_context(cafile=root)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.check_hostname = mode is SslMode.VERIFY_FULL
    # As in libpq: with a root certificate configured, `require` verifies too.
    if mode is SslMode.REQUIRE and root is None:
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    return context


def _no_passphrase() -> str:
    """Without this, OpenSSL would prompt at the terminal, and block."""
    raise ValueError("the private key is protected by a passphrase")


def peer_certificate(link: Link) -> bytes | None:
    """The server's certificate (DER); None on a link without TLS."""
    return None if link.tls is None else link.tls.getpeercert(binary_form=True)
