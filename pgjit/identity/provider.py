"""The contract of an identity provider. Which one is used is decided by app.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pgjit.identity.identity import Identity

__all__ = ["Discovery", "Provider"]


@dataclass(frozen=True, slots=True)
class Discovery:
    """Where a client that has no token gets one: what OAUTHBEARER tells it."""

    openid_configuration: str  # URL of the issuer's metadata
    scope: str


class Provider(Protocol):
    """Turns a token into an Identity, or refuses it."""

    async def start(self) -> None:
        """Begin fetching keys in the background. Does not raise when the provider cannot be reached."""

    @property
    def ready(self) -> bool:
        """True once keys were fetched and tokens can be checked."""

    @property
    def discovery(self) -> Discovery:
        """How to get a token that is accepted here."""

    async def verify(self, token: str, now: datetime) -> Identity:
        """The identity that `token` proves.

        Raises TokenRefused for every token that is not accepted, ServerUnavailable while there are no keys
        to check any token with.
        """

    async def close(self) -> None:
        """Stop background work and close connections."""
