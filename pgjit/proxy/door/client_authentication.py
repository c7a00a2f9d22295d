"""Client authentication: the token arrives as a cleartext password inside TLS or by OAUTHBEARER.

Decides the order of the messages and their size limits. The identity provider verifies the token. Every refused token
gives the same error, whatever the fault and the method.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

import orjson

from pgjit.errors import PgjitError, ProtocolFault, TokenRefused
from pgjit.identity.authentication_method import AuthenticationMethod
from pgjit.identity.identity import Identity
from pgjit.identity.provider import Discovery, Provider
from pgjit.server.link import Link
from pgjit.server.link_waits import LinkClosed
from pgjit.turns import take_turn
from pgwire import oauthbearer
from pgwire.messages import authentication as auth

__all__ = ["authenticate"]

_PASSWORD_MESSAGE = 0x70
_SASL_OVERHEAD = 512  # name of the mechanism, GS2 header, `host` and `port` beside the token
_MOST_DISCARDED = 1024 * 1024
_DISCARD_SECONDS = 2.0
_KVSEP_SECONDS = 5.0


Clock = Callable[[], datetime]


class UnsupportedAuthorizationIdentity(PgjitError):
    sqlstate = "0A000"
    severity = "FATAL"


async def authenticate(
    link: Link, method: AuthenticationMethod, provider: Provider, token_bytes: int, clock: Clock
) -> Identity:
    """Request a token and verify it, as of the time when it arrived.

    Raises TokenRefused, ServerUnavailable, ProtocolFault, LinkClosed and RemoteProtocolError.
    """
    if method is AuthenticationMethod.OAUTHBEARER:
        return await _by_oauthbearer(link, provider, token_bytes, clock)
    return await _by_password(link, provider, token_bytes, clock)


async def _by_password(link: Link, provider: Provider, token_bytes: int, clock: Clock) -> Identity:
    link.write(auth.authentication_cleartext())
    password = auth.decode_password(await _message(link, token_bytes + 1))
    try:
        token = password.decode("ascii")
    except UnicodeDecodeError:
        raise TokenRefused("not-ascii", "the password holds bytes that no token has") from None
    if not token:
        raise TokenRefused("empty", "the password is empty")
    return await provider.verify(token, clock())


# --- OAUTHBEARER (RFC 7628) ----------------------------------------------------------------------------


async def _by_oauthbearer(link: Link, provider: Provider, token_bytes: int, clock: Clock) -> Identity:
    """On success no AuthenticationSASLFinal follows: the mechanism has no final server message."""
    limit = token_bytes + _SASL_OVERHEAD
    link.write(auth.authentication_sasl((oauthbearer.MECHANISM,)))
    initial = auth.decode_sasl_initial(await _message(link, limit))
    if initial.mechanism != oauthbearer.MECHANISM:
        raise ProtocolFault("client selected an invalid SASL authentication mechanism")
    response = initial.response
    if response is None:
        link.write(auth.authentication_sasl_continue(b""))
        response = await _message(link, limit)
    try:
        value = oauthbearer.decode_initial(response)
    except oauthbearer.AuthorizationIdentityError:
        raise UnsupportedAuthorizationIdentity(
            "client uses authorization identity, but it is not supported", reference="authorization-identity"
        ) from None
    try:
        return await provider.verify(_token(value, token_bytes), clock())
    except TokenRefused:
        await _send_discovery(link, provider.discovery)
        raise


def _token(value: bytes, token_bytes: int) -> str:
    if not value:
        raise TokenRefused("discovery", "the client asked where it gets a token")
    token = oauthbearer.bearer_token(value)
    if token is None:
        raise TokenRefused("not-a-bearer-token", "what the client sent is not `Bearer` and a token")
    if len(token) > token_bytes:
        raise TokenRefused("too-large", "the token is over the size limit")
    return token


async def _send_discovery(link: Link, discovery: Discovery) -> None:
    """Send where a good token comes from. The client answers with one separator byte, and is then refused.

    Its answer is not checked: the journal keeps the reason why the token was refused.
    """
    error = {
        "status": "invalid_token",
        "openid-configuration": discovery.openid_configuration,
        "scope": discovery.scope,
    }
    link.write(auth.authentication_sasl_continue(orjson.dumps(error)))
    with contextlib.suppress(LinkClosed, PgjitError, TimeoutError):
        async with asyncio.timeout(_KVSEP_SECONDS):
            await _message(link, len(oauthbearer.KVSEP))


# --- one message ---------------------------------------------------------------------------------------


async def _message(link: Link, limit: int) -> bytes:
    """The body of the only message that may come now. A body over `limit` is discarded."""
    data = bytearray()
    while len(data) < 5:
        data += await _receive(link)
        if data[0] != _PASSWORD_MESSAGE:
            raise ProtocolFault(f"expected password response, got message type {data[0]}")
    length = int.from_bytes(data[1:5]) - 4
    if length < 0:
        raise ProtocolFault("password response with invalid length")
    if length > limit:
        await _discard(link, 5 + length - len(data))
        raise TokenRefused("too-large", "the password message is over the size limit")
    while len(data) < 5 + length:
        data += await _receive(link)
    if len(data) > 5 + length:
        raise ProtocolFault("expected a password response and nothing else")
    await take_turn()  # many tokens may arrive at once
    return bytes(data[5:])


async def _receive(link: Link) -> bytes:
    data = await link.receive()
    if not data:
        raise LinkClosed("the client left during authentication")
    return data


async def _discard(link: Link, remaining: int) -> None:
    """Read and drop the rest of an oversized message: closing with unread bytes would lose our error."""
    if remaining > _MOST_DISCARDED:
        return
    with contextlib.suppress(LinkClosed, TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS):
            while remaining > 0:
                remaining -= len(await _receive(link))
