"""The login to the real server, with the credential that the agent never sees.

Decides the startup packet (an allow-list: nothing of the client's own packet goes on unnamed) and answers the
server's authentication request. Says which step failed. Does not know what the session is for.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from dataclasses import dataclass

from scramp import ScramClient, ScramException

from pgjit.errors import ServerUnavailable
from pgjit.proxy.link import Link, LinkClosed
from pgjit.proxy.target import Target
from pgwire.errors import RemoteProtocolError
from pgwire.framing import Frame, FrameReader
from pgwire.messages import authentication as auth
from pgwire.messages.query import decode_error, decode_parameter_status
from pgwire.messages.startup import encode_cancel, encode_ssl_request, encode_startup

__all__ = ["Upstream", "cancel_running", "connect_upstream"]

_MAX_LOGIN_MESSAGE = 64 * 1024


@dataclass(slots=True)
class Upstream:
    """A logged-in connection to the server, idle, with what it told during login."""

    link: Link
    target: Target
    backend_pid: int
    secret: bytes
    parameters: dict[str, str]
    greeting: bytes  # ParameterStatus and NoticeResponse messages, for the client

    @property
    def server_version(self) -> str:
        return self.parameters.get("server_version", "unknown")


def _unavailable(target: Target, step: str, detail: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"connection `{target.name}` cannot be used now",
        reference="server-unavailable",
        detail=f"{step}: {detail}",
        hint="Try again later; the operators of this proxy have to look at its login to the server.",
    )


async def connect_upstream(target: Target, settings: dict[str, str], deadline: float) -> Upstream:
    """Connect and log in. `settings` are the session's defaults on the server; `deadline` is in seconds.

    Raises ServerUnavailable, naming the step that failed.
    """
    try:
        async with asyncio.timeout(deadline):
            link = await _open(target)
            try:
                return await _log_in(link, target, settings)
            except BaseException:
                link.abort()
                raise
    except TimeoutError:
        raise _unavailable(target, "logging in", f"no answer within {deadline:g} s") from None
    except LinkClosed:
        raise _unavailable(target, "logging in", "the server closed the connection") from None
    except RemoteProtocolError as fault:
        raise _unavailable(target, "logging in", f"the server broke the protocol ({fault})") from None
    except ScramException as fault:
        raise _unavailable(target, "SCRAM authentication", str(fault)) from None


async def _open(target: Target) -> Link:
    loop = asyncio.get_running_loop()
    try:
        if target.is_unix:
            path = f"{target.host}/.s.PGSQL.{target.port}"
            _, link = await loop.create_unix_connection(Link, path)
            return link
        tls = target.tls()
        if tls is None:
            _, link = await loop.create_connection(Link, target.host, target.port)
            return link
        plain = await _request_tls(target)
        _, link = await loop.create_connection(Link, sock=plain, ssl=tls, server_hostname=target.host)
        return link
    except ssl.SSLError as fault:
        raise _unavailable(target, "starting TLS", fault.reason or "handshake failed") from None
    except OSError as fault:
        raise _unavailable(target, "connecting", fault.strerror or str(fault)) from None


async def _request_tls(target: Target) -> socket.socket:
    """A connected socket whose server agreed to TLS: the handshake comes next."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    family, kind, proto, _, address = infos[0]
    plain = socket.socket(family, kind, proto)
    try:
        plain.setblocking(False)
        await loop.sock_connect(plain, address)
        await loop.sock_sendall(plain, encode_ssl_request())
        if await loop.sock_recv(plain, 1) != b"S":
            raise _unavailable(target, "starting TLS", "the server does not offer TLS")
    except BaseException:
        plain.close()
        raise
    return plain


class _Login:
    """The messages of a login, one at a time."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._reader = FrameReader(lambda _: _MAX_LOGIN_MESSAGE)
        self._frames: list[Frame] = []

    async def next(self) -> Frame:
        while not self._frames:
            data = await self._link.receive()
            if not data:
                raise LinkClosed
            self._frames = self._reader.feed(data)
        return self._frames.pop(0)

    def nothing_left(self) -> None:
        if self._frames or self._reader.pending:
            raise RemoteProtocolError("bytes after ReadyForQuery that nothing asked for")


async def _log_in(link: Link, target: Target, settings: dict[str, str]) -> Upstream:
    login = _Login(link)
    link.write(encode_startup({"user": target.user, "database": target.database, **settings}))
    await _authenticate(link, login, target)
    parameters: dict[str, str] = {}
    greeting: list[bytes] = []
    key: tuple[int, bytes] | None = None
    while True:
        frame = await login.next()
        match chr(frame.kind):
            case "S":
                name, value = decode_parameter_status(frame.body)
                parameters[name] = value
                greeting.append(frame.raw)
            case "K":
                key = auth.decode_backend_key_data(frame.body)
            case "N":
                greeting.append(frame.raw)
            case "E":
                raise _login_refused(target, frame)
            case "Z":
                break
            case kind:
                raise RemoteProtocolError(f"message of type {kind!a} during login")
    login.nothing_left()
    if key is None:
        raise _unavailable(target, "logging in", "the server gives no cancel key, so its sessions could not be ended")
    return Upstream(link, target, key[0], key[1], parameters, b"".join(greeting))


def _login_refused(target: Target, frame: Frame) -> ServerUnavailable:
    fields = decode_error(frame.body)
    return _unavailable(target, "logging in", f"the server said {fields.get('C')}: {fields.get('M')}")


async def _authenticate(link: Link, login: _Login, target: Target) -> None:
    while True:
        frame = await login.next()
        if frame.kind == 0x45:
            raise _login_refused(target, frame)
        if frame.kind == 0x4E:  # NoticeResponse
            continue
        if frame.kind != 0x52:
            raise RemoteProtocolError(f"message of type {chr(frame.kind)!a} during authentication")
        request = auth.decode_authentication(frame.body)
        if request.code == 0:
            return
        await _answer(link, login, target, request)


async def _answer(link: Link, login: _Login, target: Target, request: auth.AuthenticationRequest) -> None:
    if target.password is None:
        raise _unavailable(target, "authenticating", "the server asks for a password and none is configured")
    secret = target.password.encode()
    encrypted = target.is_unix or link.detail("ssl_object") is not None
    if request.code == 10 and "SCRAM-SHA-256" in request.mechanisms:
        await _scram(link, login, target)
    elif request.code == 3 and encrypted:
        link.write(auth.encode_password(secret))
    elif request.code == 5:
        link.write(auth.encode_password(_md5(target.user.encode(), secret, request.data)))
    else:
        raise _unavailable(
            target, "authenticating", f"the server asks for a method ({request.code}) that is not used here"
        )


def _md5(user: bytes, password: bytes, salt: bytes) -> bytes:
    """PostgreSQL's own MD5 scheme: old servers ask for it, we do not choose it."""
    inner = hashlib.md5(password + user, usedforsecurity=False).hexdigest().encode()
    return b"md5" + hashlib.md5(inner + salt, usedforsecurity=False).hexdigest().encode()


async def _scram(link: Link, login: _Login, target: Target) -> None:
    """SCRAM-SHA-256 (RFC 7677): the server proves that it knows the password as well."""
    client = ScramClient(["SCRAM-SHA-256"], target.user, target.password)
    link.write(auth.encode_sasl_initial("SCRAM-SHA-256", client.get_client_first().encode()))
    client.set_server_first((await _sasl(login, target, 11)).decode())
    # Hashing some thousand rounds takes milliseconds: not on the event loop.
    final = await asyncio.to_thread(client.get_client_final)
    link.write(auth.encode_sasl_response(final.encode()))
    client.set_server_final((await _sasl(login, target, 12)).decode())


async def _sasl(login: _Login, target: Target, code: int) -> bytes:
    frame = await login.next()
    if frame.kind == 0x45:
        raise _login_refused(target, frame)
    request = auth.decode_authentication(frame.body)
    if frame.kind != 0x52 or request.code != code:
        raise RemoteProtocolError("SCRAM exchange out of order")
    return request.data


async def cancel_running(upstream: Upstream, deadline: float) -> bool:
    """Send a CancelRequest and wait until the server closes that connection: it was dealt with then.

    Cancelling may be asked for at any time; whether something was running is not known. False if the server
    could not be told within `deadline` seconds.
    """
    try:
        async with asyncio.timeout(deadline):
            link = await _open(upstream.target)
            try:
                link.write(encode_cancel(upstream.backend_pid, upstream.secret))
                while await link.receive():
                    pass
            finally:
                link.abort()
    except (TimeoutError, OSError, ServerUnavailable):
        return False
    return True
