"""The signature of a webhook: `v1` of the Standard Webhooks specification. Pure.

It is an HMAC-SHA256 of `id.timestamp.body`. Several keys sign while a key is replaced; the receiver accepts any.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

__all__ = ["read_keys", "signatures"]

_PREFIX = "whsec_"
_LEAST, _MOST = 24, 64
_MOST_KEYS = 4


def read_keys(secret: str) -> list[bytes]:
    """The keys of a secret: one `whsec_...` a line, or several with spaces between. Raises ValueError.

    The text of the error quotes nothing of the secret.
    """
    words = secret.split()
    if not 1 <= len(words) <= _MOST_KEYS:
        raise ValueError(f"must hold one to {_MOST_KEYS} keys")
    return [_key(word) for word in words]


def _key(word: str) -> bytes:
    if not word.startswith(_PREFIX):
        raise ValueError(f"must hold keys that begin with `{_PREFIX}`")
    try:
        key = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"must hold keys in base64 after `{_PREFIX}`") from None
    if not _LEAST <= len(key) <= _MOST:
        raise ValueError(f"must hold keys of {_LEAST} to {_MOST} bytes")
    return key


def signatures(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    codes = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys]
    return " ".join(f"v1,{base64.b64encode(code).decode()}" for code in codes)
