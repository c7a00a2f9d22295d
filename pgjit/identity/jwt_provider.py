"""The common part of the providers for Entra and OpenID Connect: tokens are JWTs, signed with published keys.

Decides how keys are fetched, how a token is verified, and the limits of the settings for that. Each provider in
`providers/` decides which issuers and claims are accepted.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

import httpx

from pgjit.identity.fetch import client_for
from pgjit.identity.identity import Identity
from pgjit.identity.jws import HARD_MAX_BYTES
from pgjit.identity.provider import Discovery
from pgjit.identity.signing_keys import KeySource, SigningKeys
from pgjit.identity.verification import Claims, KeyRing, Verification
from pgjit.telemetry.dependency import ExternalDependency

__all__ = ["LONGEST_AGE", "MAX_LEEWAY", "JwtProvider", "JwtSettings", "bounds_faults"]

MAX_LEEWAY: Final = timedelta(seconds=60)
LONGEST_AGE: Final = timedelta(hours=24)  # the longest that Entra issues to workloads


class JwtSettings(Protocol):
    """The settings that every such provider has."""

    @property
    def leeway(self) -> timedelta:
        """By how much the issuer's clock may differ from this machine's."""

    @property
    def max_token_age(self) -> timedelta: ...

    @property
    def max_token_bytes(self) -> int: ...

    @property
    def token_types(self) -> frozenset[str]:
        """The accepted values of `typ` in a token's header."""

    @property
    def key_host(self) -> str:
        """A URL of the server that publishes the keys."""

    @property
    def key_sources(self) -> Sequence[KeySource]:
        """One for each issuer."""


S = TypeVar("S", bound=JwtSettings)


def bounds_faults(settings: JwtSettings) -> list[str]:
    """The settings that are out of bounds, one sentence each."""
    faults = []
    if not timedelta() <= settings.leeway <= MAX_LEEWAY:
        faults.append("`leeway` is not between 0 and 60 seconds")
    if not timedelta() < settings.max_token_age <= LONGEST_AGE:
        faults.append("`max_token_age` is not more than 0 and at most 24 hours")
    if not 0 < settings.max_token_bytes <= HARD_MAX_BYTES:
        faults.append(f"`max_token_bytes` is not between 1 and {HARD_MAX_BYTES}")
    return faults


class JwtProvider(ABC, Generic[S]):
    """A Provider. A subclass decides which claims are accepted, and where a client gets a token."""

    def __init__(
        self,
        settings: S,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings: Final = settings
        self._client = client_for(settings.key_host, transport)
        self._ring = KeyRing(
            [
                SigningKeys(source, client=self._client, monotonic=monotonic, sleep=sleep)
                for source in settings.key_sources
            ]
        )
        self._verification = Verification(self._ring, max_bytes=settings.max_token_bytes, types=settings.token_types)

    @abstractmethod
    def read(self, claims: Claims, now: datetime) -> tuple[str, Identity]:
        """The issuer that the claims name, and the identity in them. Raises TokenRefused."""

    @property
    @abstractmethod
    def discovery(self) -> Discovery:
        """How a client gets a token for this proxy."""

    async def start(self) -> None:
        """Begin fetching keys in the background. Does not raise when an issuer cannot be reached."""
        await self._ring.start()

    @property
    def ready(self) -> bool:
        """Whether there are keys of every issuer."""
        return self._ring.ready

    @property
    def key_ages(self) -> Mapping[str, float]:
        return self._ring.ages

    @property
    def dependencies(self) -> Sequence[ExternalDependency]:
        return self._ring.dependencies

    async def close(self) -> None:
        """Stop fetching keys."""
        await self._ring.close()
        await self._client.aclose()

    async def verify(self, token: str, now: datetime) -> Identity:
        """The identity that `token` proves. Raises TokenRefused, or ServerUnavailable without any keys."""
        return await self._verification.verify(token, lambda claims: self.read(claims, now))
