"""The SASL mechanism OAUTHBEARER (RFC 7628) as PostgreSQL 18 implements it: the client's initial response.

Decides the layout of that message, and nothing about the token in it.
"""

from __future__ import annotations

import re

from pgwire.errors import RemoteProtocolError

__all__ = ["KVSEP", "MECHANISM", "AuthorizationIdentityError", "bearer_token", "decode_initial", "encode_initial"]

MECHANISM = "OAUTHBEARER"
KVSEP = b"\x01"
"""Ends each pair and the list. Alone it is the client's answer to an error."""

_KEY = re.compile(rb"[A-Za-z]+\Z")
_VALUE = re.compile(rb"[\x21-\x7e \t\r\n]*\Z")
# credentials = "Bearer" 1*SP b64token (RFC 6750, 2.1); the scheme's name is not case-sensitive.
_BEARER = re.compile(rb"bearer +([A-Za-z0-9\-._~+/]+=*)\Z", re.IGNORECASE)


class AuthorizationIdentityError(RemoteProtocolError):
    """The client asks to act as another identity."""


def decode_initial(response: bytes) -> bytes:
    """The value of `auth`; empty if the client asks how to get a token. Raises RemoteProtocolError."""
    flag, comma, rest = response.partition(b",")
    if flag != b"n" or not comma:
        raise RemoteProtocolError("OAUTHBEARER message with channel binding, or without its GS2 header")
    identity, comma, rest = rest.partition(b",")
    if identity or not comma:
        raise AuthorizationIdentityError("authorization identity in an OAUTHBEARER message")
    if not rest.startswith(KVSEP) or not rest.endswith(KVSEP * 2):
        raise RemoteProtocolError("OAUTHBEARER message without its separators")
    pairs = rest[1:-2].split(KVSEP)
    found: bytes | None = None
    for pair in pairs:
        key, equals, value = pair.partition(b"=")
        if not equals or not _KEY.match(key) or not _VALUE.match(value):
            raise RemoteProtocolError("OAUTHBEARER message with something else than key=value")
        if key != b"auth":  # `host`, `port` and unknown keys are ignored
            continue
        if found is not None:
            raise RemoteProtocolError("OAUTHBEARER message with two `auth` values")
        found = value
    if found is None:
        raise RemoteProtocolError("OAUTHBEARER message without an `auth` value")
    return found


def encode_initial(auth: bytes) -> bytes:
    return b"n,," + KVSEP + b"auth=" + auth + KVSEP * 2


def bearer_token(auth: bytes) -> str | None:
    """The token of `Bearer TOKEN`; None for anything else."""
    found = _BEARER.match(auth)
    return found[1].decode("ascii") if found else None
