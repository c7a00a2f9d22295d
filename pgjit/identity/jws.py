"""Parses a compact JWS (RFC 7515) strictly: size, alphabet, three canonical segments, RS256 and a key id.

Decides the form only. Verifies no signature and knows no claim: nothing that is returned here may be trusted before
the signature is verified.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Final, NoReturn

from pgjit.errors import TokenRefused

__all__ = ["HARD_MAX_BYTES", "KID", "Jws", "StrictJsonError", "parse_compact_jws", "read_object", "unbase64url"]

HARD_MAX_BYTES: Final = 64 * 1024  # of a password message: PostgreSQL does not accept a longer one
KID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")  # printable ASCII, so that it can be logged and compared

_MAX_HEADER_BYTES: Final = 1024
_MAX_DEPTH: Final = 8
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_HEADERS: Final = frozenset({"alg", "kid", "typ", "x5t"})
# These have their own reason in the journal. Every other parameter outside _HEADERS is refused as well.
_REASONS: Final = {
    "nonce": ("graph-token", "the header holds `nonce`: a token for Microsoft Graph, which only Graph can check"),
    "jku": ("key-in-header", "the header names a place of its own to take the key from"),
    "x5u": ("key-in-header", "the header names a place of its own to take the key from"),
    "jwk": ("key-in-header", "the header brings its own key"),
    "x5c": ("key-in-header", "the header brings its own certificate"),
    "crit": ("header-parameter", "the header requires extensions"),
    "b64": ("header-parameter", "the header requires an unencoded payload"),
    "zip": ("header-parameter", "the header requires decompression"),
    "enc": ("header-parameter", "the token is encrypted"),
    "cty": ("header-parameter", "the token holds another token"),
}


class StrictJsonError(ValueError):
    """A JSON text is not accepted. The message quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A parsed token. Nothing in it is verified. `repr` shows nothing of it."""

    kid: str
    token: str

    def __repr__(self) -> str:
        return "Jws(...)"


def parse_compact_jws(token: str, max_bytes: int, types: frozenset[str] = frozenset({"JWT"})) -> Jws:
    """The parsed token, or TokenRefused. `types`: the accepted values of `typ` in the header."""
    if not token:
        raise TokenRefused("empty-token", "the password is empty")
    if len(token) > min(max_bytes, HARD_MAX_BYTES):
        raise TokenRefused("token-too-large", f"the password has {len(token)} characters, {max_bytes} are taken")
    segments = token.split(".")
    if len(segments) != 3:
        raise TokenRefused("malformed-token", f"a signed token has 3 segments, this has {min(len(segments), 99)}")
    decoded = []
    for name, segment in zip(("header", "payload", "signature"), segments, strict=True):
        try:
            decoded.append(unbase64url(segment))
        except ValueError as fault:
            raise TokenRefused("malformed-token", f"the {name} {fault}") from None
    return Jws(kid=_key_id(decoded[0], types), token=token)


def unbase64url(text: str) -> bytes:
    """Decodes canonical, unpadded base64url: each value has one encoding only. Raises ValueError."""
    if not text:
        raise ValueError("is empty")
    if not _SEGMENT.match(text):
        raise ValueError("is not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise ValueError("is not base64url without padding") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise ValueError("is not canonical base64url")
    return data


def _key_id(header_bytes: bytes, types: frozenset[str]) -> str:
    if len(header_bytes) > _MAX_HEADER_BYTES:
        raise TokenRefused("malformed-header", f"the header is larger than {_MAX_HEADER_BYTES} bytes")
    try:
        header = read_object(header_bytes)
    except StrictJsonError as fault:
        raise TokenRefused("malformed-header", f"the header {fault}") from None
    for name, (reason, explanation) in _REASONS.items():
        if name in header:
            raise TokenRefused(reason, explanation)
    if header.keys() - _HEADERS:
        raise TokenRefused("header-parameter", "the header has a parameter that is not known")
    # A type first: comparing is only safe between strings.
    if header.get("alg") != "RS256" or not isinstance(header["alg"], str):
        raise TokenRefused("wrong-algorithm", "the header's `alg` is not RS256")
    typ = header.get("typ")
    if not isinstance(typ, str) or typ not in types:
        raise TokenRefused("wrong-type", f"the header's `typ` is not {' or '.join(sorted(types))}")
    if "x5t" in header and not (isinstance(header["x5t"], str) and KID.match(header["x5t"])):
        raise TokenRefused("malformed-header", "the header's `x5t` is not a thumbprint")
    kid = header.get("kid")
    if not isinstance(kid, str) or not KID.match(kid):
        raise TokenRefused("bad-key-id", "the header's `kid` is missing or is not a key id")
    return kid


def read_object(data: bytes) -> dict[str, object]:
    """Parses a JSON object that every parser reads alike: no duplicate name, no NaN, bounded depth."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except StrictJsonError:
        raise
    except UnicodeDecodeError:
        raise StrictJsonError("is not UTF-8") from None
    except RecursionError:
        raise StrictJsonError("is nested too deeply") from None
    except ValueError:
        raise StrictJsonError("is not JSON") from None
    if not isinstance(value, dict):
        raise StrictJsonError("is not a JSON object")
    _check_values(value)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    built = dict(pairs)
    if len(built) != len(pairs):
        raise StrictJsonError("holds a name twice")
    return built


def _no_constant(_text: str) -> NoReturn:
    raise StrictJsonError("holds a number that JSON does not have")


def _check_values(value: object) -> None:
    """Check the depth, and that no text has half a surrogate pair, which the journal could not write."""
    pending: list[tuple[object, int]] = [(value, 1)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, dict):
            inner = [*item.keys(), *item.values()]
        elif isinstance(item, list):
            inner = item
        else:
            if isinstance(item, str) and not item.isascii() and any("\ud800" <= sign <= "\udfff" for sign in item):
                raise StrictJsonError("holds text that is not Unicode")
            continue
        if depth > _MAX_DEPTH:
            raise StrictJsonError("is nested too deeply")
        pending += [(each, depth + 1) for each in inner]
