"""Random ids for sessions, windows, requests and the like: short, and safe in a URL, a file name and a shell."""

from __future__ import annotations

import base64
import secrets

__all__ = ["random_id"]

_BYTES = 10


def random_id() -> str:
    """80 random bits as 16 characters of lower-case base32: nobody guesses one, and no two are ever the same."""
    return base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
