"""The contract of an identity provider. `app` opens the one that the configuration names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pgjit.identity.identity import Identity
from pgjit.telemetry.dependency import ExternalDependency

__all__ = ["Discovery", "Provider"]


@dataclass(frozen=True, slots=True)
class Discovery:
    """Where a client without a token can get one: sent in the refusal of OAUTHBEARER (RFC 7628)."""

    openid_configuration: str  # URL of the issuer's metadata
    scope: str


class Provider(Protocol):
    """Verifies tokens: a token to an Identity, or TokenRefused."""

    async def start(self) -> None:
        """Begin fetching keys in the background. Does not raise if the provider cannot be reached."""

    @property
    def ready(self) -> bool:
        """Whether there are keys, so that tokens can be verified."""

    @property
    def key_ages(self) -> Mapping[str, float]:
        """The age of the keys of each issuer, in seconds; 0 before they were fetched."""

    @property
    def dependencies(self) -> Sequence[ExternalDependency]:
        """The sources of the keys."""

    @property
    def discovery(self) -> Discovery:
        """How a client gets a token for this proxy."""

    async def verify(self, token: str, now: datetime) -> Identity:
        """The identity that `token` proves.

        Raises TokenRefused for every token that is not accepted, ServerUnavailable if there are no keys to verify it
        with.
        """

    async def close(self) -> None:
        """Stop background work and close connections."""
