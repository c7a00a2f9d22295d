"""The messages of a login: startup, authentication, and the server's messages until ReadyForQuery.

Decides which authentication methods are used, over which links, and in which order messages may come. Does not know
how the link was opened, or what the session is for.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cryptography import x509
from scramp import ScramException

from pgjit.server.dial import peer_certificate, tls_reason
from pgjit.server.link import Link
from pgjit.server.link_waits import LinkClosed
from pgjit.server.login_error import LoginAttempt, LoginFailed
from pgjit.server.scram import Exchange
from pgjit.server.target import ChannelBinding, Target
from pgwire.errors import RemoteProtocolError
from pgwire.framing import Frame, FrameReader
from pgwire.messages import authentication as auth
from pgwire.messages.query import decode_error, decode_parameter_status, decode_ready
from pgwire.messages.startup import encode_startup

__all__ = ["BeforeProof", "LoggedIn", "log_in"]

_MOST_BYTES = 64 * 1024
"""Limit on one message during login, before the server has authenticated itself."""
_MOST_MESSAGES = 1000

_PLAIN, _PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
_OK, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12
_METHODS = {2: "Kerberos V5", 7: "GSSAPI", 9: "SSPI"}

# Another server, or the same one a little later, may accept the login.
_NOT_NOW = {"57P01", "57P02", "57P03"}


BeforeProof = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LoggedIn:
    backend_pid: int
    secret: bytes
    parameters: dict[str, str]
    greeting: bytes  # ParameterStatus and NoticeResponse messages, for the client


async def log_in(
    link: Link,
    target: Target,
    secret: str | None,
    settings: dict[str, str],
    attempt: LoginAttempt,
    before_proof: BeforeProof | None = None,
) -> LoggedIn:
    """Log in over `link` with the session's `settings`. Raises LoginFailed, which names the step.

    `before_proof` is awaited right before the password, or the proof of it, is sent.
    """
    try:
        login = _Login(link, attempt, before_proof)
        attempt.step = "authenticating"
        link.write(encode_startup({"user": target.user, "database": target.database, **settings}))
        await _authenticate(login, target, secret)
        attempt.step = "logging in"
        return await _until_ready(login)
    except LinkClosed:
        raise attempt.failed(_closed(link, target, attempt), try_next=True) from None
    except RemoteProtocolError as fault:
        raise attempt.failed(f"the server broke the protocol ({fault})") from None
    except ScramException as fault:
        raise attempt.failed(f"SCRAM: {fault}") from None


def _closed(link: Link, target: Target, attempt: LoginAttempt) -> str:
    """With TLS 1.3 a client certificate is refused after the handshake."""
    reason = "the server closed the connection"
    if target.sslcert is not None and attempt.step == "authenticating":
        reason += " right after TLS: does it accept this client certificate?"
    return f"{reason} ({tls_reason(link.loss_reason)})" if isinstance(link.loss_reason, ssl.SSLError) else reason


class _Login:
    """Reads the messages of a login one at a time. Raises the server's errors; collects its notices."""

    def __init__(self, link: Link, attempt: LoginAttempt, before_proof: BeforeProof | None = None) -> None:
        self.link = link
        self._before_proof = before_proof
        self.attempt = attempt
        self.greeting: list[bytes] = []
        self._reader = FrameReader(lambda _: _MOST_BYTES)
        self._frames: list[Frame] = []
        self._count = 0

    async def next(self) -> Frame:
        while True:
            while not self._frames:
                data = await self.link.receive()
                if not data:
                    raise LinkClosed
                self._frames = self._reader.feed(data)
            frame = self._frames.pop(0)
            self._count += 1
            if self._count > _MOST_MESSAGES:
                raise RemoteProtocolError("more messages than a login has")
            match chr(frame.kind):
                case "E":
                    raise self._refused(frame)
                case "N":
                    decode_error(frame.body)
                    self.greeting.append(frame.raw)
                case _:
                    return frame

    async def prove(self, proof: bytes) -> None:
        if self._before_proof is not None:
            await self._before_proof()
        self.link.write(proof)

    async def authentication(self) -> auth.AuthenticationRequest:
        frame = await self.next()
        if frame.kind != ord("R"):
            raise RemoteProtocolError(f"message of type {chr(frame.kind)!a} during authentication")
        return auth.decode_authentication(frame.body)

    async def expect(self, code: int) -> bytes:
        """The data of the authentication message `code`. Any other message is a protocol violation."""
        request = await self.authentication()
        if request.code != code:
            raise RemoteProtocolError(f"authentication message {request.code} in place of {code}")
        return request.data

    def check_nothing_left(self) -> None:
        if self._frames or self._reader.pending:
            raise RemoteProtocolError("bytes after ReadyForQuery that nothing requested")

    def _refused(self, frame: Frame) -> LoginFailed:
        fields = decode_error(frame.body)
        sqlstate, message = fields.get("C", "no SQLSTATE"), fields.get("M", "no message")
        return self.attempt.failed(
            f"the server reported {sqlstate}: {message}",
            try_next=sqlstate in _NOT_NOW,
            sqlstate=sqlstate,
            server_message=message,
        )


async def _until_ready(login: _Login) -> LoggedIn:
    parameters: dict[str, str] = {}
    key: tuple[int, bytes] | None = None
    while True:
        frame = await login.next()
        match chr(frame.kind):
            case "S":
                name, value = decode_parameter_status(frame.body)
                parameters[name] = value
                login.greeting.append(frame.raw)
            case "K" if key is None:
                key = auth.decode_backend_key_data(frame.body)
            case "Z":
                if decode_ready(frame.body) != "I":
                    raise RemoteProtocolError("a new session that is in a transaction")
                break
            case kind:
                raise RemoteProtocolError(f"message of type {kind!a} during login")
    login.check_nothing_left()
    if key is None:
        raise login.attempt.failed("the server gives no cancel key, so its sessions could not be ended")
    return LoggedIn(key[0], key[1], parameters, b"".join(login.greeting))


# --- authentication --------------------------------------------------------------------------------------


async def _authenticate(login: _Login, target: Target, secret: str | None) -> None:
    """One request, one answer, then Ok. A server that sends a second request gets no second answer."""
    request = await login.authentication()
    required = target.channel_binding is ChannelBinding.REQUIRE
    if request.code == _OK:
        if required:
            raise login.attempt.failed("channel binding is required and the server requests no password")
        return
    if request.code not in (_CLEARTEXT, _MD5, _SASL):
        method = _METHODS.get(request.code, f"method {request.code}")
        raise login.attempt.failed(f"the server requests {method}, which is not used here")
    if secret is None:
        raise login.attempt.failed("the server requests a password and none is configured")
    if request.code == _SASL:
        await _scram(login, target, secret, request.mechanisms)
    elif required:
        raise login.attempt.failed("channel binding is required and the server does not use SCRAM")
    elif request.code == _MD5:
        await login.prove(auth.encode_password(_md5(target.user.encode(), secret.encode(), request.data)))
    else:
        await _cleartext(login, secret)
    await login.expect(_OK)


async def _cleartext(login: _Login, secret: str) -> None:
    # INVARIANT: the password itself is sent over TLS or a Unix socket only.
    if login.link.tls is None and not login.link.is_unix:
        raise login.attempt.failed("the server requests the password in clear text over an unencrypted link")
    await login.prove(auth.encode_password(secret.encode()))


def _md5(user: bytes, password: bytes, salt: bytes) -> bytes:
    """PostgreSQL's MD5 scheme, for old servers that request it."""
    inner = hashlib.md5(password + user, usedforsecurity=False).hexdigest().encode()
    return b"md5" + hashlib.md5(inner + salt, usedforsecurity=False).hexdigest().encode()


# --- SCRAM (RFC 5802, RFC 7677) --------------------------------------------------------------------------


async def _scram(login: _Login, target: Target, secret: str, offered: tuple[str, ...]) -> None:
    """Both sides prove that they know the password; with channel binding to the certificate if both support it."""
    binding = _end_point(login, target)
    mechanism = _choose(login, target, offered, bound=binding is not None)
    # If channel binding is possible here and the server did not offer it, the gs2 flag is `y`. A server
    # whose offer was removed by an attacker sees the flag and refuses.
    exchange = Exchange(mechanism, secret, binding)
    login.link.write(auth.encode_sasl_initial(mechanism, exchange.client_first()))
    final = await exchange.client_final(_ascii(await login.expect(_SASL_CONTINUE)))
    await login.prove(auth.encode_sasl_response(final))
    # INVARIANT: AuthenticationOk counts only after the server's signature was verified.
    exchange.verify(_ascii(await login.expect(_SASL_FINAL)))


def _choose(login: _Login, target: Target, offered: tuple[str, ...], *, bound: bool) -> str:
    if bound and _PLUS in offered:
        return _PLUS
    if target.channel_binding is ChannelBinding.REQUIRE:
        reason = "the server does not offer it" if bound else "there is no certificate to bind to"
        raise login.attempt.failed(f"channel binding is required and {reason}")
    if _PLAIN in offered:
        return _PLAIN
    names = ", ".join(ascii(name) for name in offered[:8])
    raise login.attempt.failed(f"the server offers no SASL mechanism that is used here, but {names}")


def _end_point(login: _Login, target: Target) -> bytes | None:
    """The channel binding data: the hash of the server's certificate (RFC 5929, section 4.1)."""
    if target.channel_binding is ChannelBinding.DISABLE:
        return None
    certificate = peer_certificate(login.link)
    if certificate is None:
        return None
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except ValueError:
        return None
    if algorithm is None:  # Ed25519: the RFC defines no hash for it, and PostgreSQL uses none
        return None
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate).digest()


def _ascii(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise RemoteProtocolError("SCRAM message that is not ASCII") from None
