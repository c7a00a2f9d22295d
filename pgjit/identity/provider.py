"""The contract of an identity provider: one method. Which one is used is decided by app.py."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pgjit.identity.identity import Identity

__all__ = ["Provider"]


class Provider(Protocol):
    """Turns a token into an Identity, or refuses it."""

    async def start(self) -> None:
        """Begin fetching keys in the background. Does not raise when the provider cannot be reached."""

    @property
    def ready(self) -> bool:
        """True once keys were fetched and tokens can be checked."""

    async def verify(self, token: str, now: datetime) -> Identity:
        """The identity that `token` proves.

        Raises TokenRefused for every token that is not accepted, ServerUnavailable while there are no keys
        to check any token with.
        """

    async def close(self) -> None:
        """Stop background work and close connections."""
