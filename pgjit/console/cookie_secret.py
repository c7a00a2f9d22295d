"""The secret in a cookie, and what is derived from it. Pure.

One random value of 256 bits is in the cookie, and nowhere else. By HKDF (RFC 5869) it gives the id under which the
store keeps the sign-in, the key that seals the tokens there, and the CSRF token of the forms. None of them leads back
to the others: who reads the store cannot act as anybody, and a page's CSRF token is no cookie.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["CookieSecret", "SealBroken", "base64url", "same", "unbase64url"]

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_NONCE_BYTES: Final = 12


class SealBroken(Exception):
    """What is sealed was not sealed under this secret, or was changed."""


@dataclass(frozen=True, slots=True)
class CookieSecret:
    """`text` is the cookie's value: 256 random bits as base64url."""

    text: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        return cls(secrets.token_urlsafe(32))

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """None for a text that no cookie of ours has."""
        return cls(text) if text is not None and _FORM.match(text) else None

    @property
    def id(self) -> str:
        """Under which the store keeps the sign-in."""
        return self.derived("sign-in id").hex()

    @property
    def csrf(self) -> str:
        """The CSRF token of every form of this sign-in."""
        return base64url(self.derived("csrf token"))

    def derived(self, purpose: str) -> bytes:
        """32 bytes; the same for the same purpose."""
        return HKDF(SHA256(), 32, salt=None, info=f"pgjit console {purpose}".encode()).derive(self.text.encode())

    def seal(self, text: str) -> str:
        """`text`, encrypted and authenticated, bound to this sign-in."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self.derived("sealing key")).encrypt(nonce, text.encode(), self.id.encode())
        return base64url(nonce + sealed)

    def open(self, sealed: str) -> str:
        """What was sealed. Raises SealBroken."""
        try:
            raw = unbase64url(sealed)
            opened = AESGCM(self.derived("sealing key")).decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self.id.encode()
            )
            return opened.decode()
        except (ValueError, InvalidTag):
            raise SealBroken from None

    def sign(self, text: str) -> str:
        """A signature of a text that the browser keeps for the next page."""
        return base64url(hmac.digest(self.derived("signing key"), text.encode(), hashlib.sha256))


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    """Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)


def same(given: str, expected: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())
