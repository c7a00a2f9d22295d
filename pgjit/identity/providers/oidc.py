"""Any OpenID Connect issuer as identity provider: a JWT access token for our audience is the proof.

Decides which issuer and audience are ours; what the claims prove is oidc_claims.py's. Keys come from the issuer's own
metadata, from its own host or from the place that the configuration names, and from nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import httpx

from pgjit.errors import InvalidFile
from pgjit.identity.entra_claims import Claims
from pgjit.identity.fetch import client_for
from pgjit.identity.identity import Identity
from pgjit.identity.jws import HARD_MAX_BYTES
from pgjit.identity.oidc_claims import ExpectedOidcClaims, read_oidc_identity
from pgjit.identity.provider import Discovery
from pgjit.identity.section import IdentitySection
from pgjit.identity.signing_keys import KeySource, SigningKeys
from pgjit.identity.url_checks import url_faults
from pgjit.identity.verification import KeyRing, Verification

__all__ = ["OidcProvider", "OidcSettings", "from_section"]

_MAX_LEEWAY: Final = timedelta(seconds=60)
_LONGEST_AGE: Final = timedelta(hours=24)
_TYPES: Final = frozenset({"JWT", "at+jwt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """Which tokens are ours. Raises InvalidFile, with every fault."""

    issuer: str
    audience: str
    keys: str | None = None
    groups_claim: str = "groups"
    leeway: timedelta = _MAX_LEEWAY
    max_token_age: timedelta = _LONGEST_AGE
    max_token_bytes: int = 16 * 1024
    allow_http: bool = False

    def __post_init__(self) -> None:
        faults = url_faults("issuer", self.issuer, allow_http=self.allow_http)
        if self.keys is not None:
            faults += url_faults("keys", self.keys, allow_http=self.allow_http)
        if not self.audience or not self.groups_claim:
            faults.append("`audience` and `groups_claim` must not be empty")
        if not timedelta() <= self.leeway <= _MAX_LEEWAY:
            faults.append("`leeway` is not between 0 and 60 seconds")
        if not timedelta() < self.max_token_age <= _LONGEST_AGE:
            faults.append("`max_token_age` is not more than 0 and at most 24 hours")
        if not 0 < self.max_token_bytes <= HARD_MAX_BYTES:
            faults.append(f"`max_token_bytes` is not between 1 and {HARD_MAX_BYTES}")
        if faults:
            raise InvalidFile("identity configuration", faults)

    @property
    def metadata(self) -> str:
        return f"{self.issuer.removesuffix('/')}/.well-known/openid-configuration"


class OidcProvider:
    """The provider `oidc`."""

    def __init__(
        self,
        settings: OidcSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._expected = ExpectedOidcClaims(
            issuer=settings.issuer,
            audience=settings.audience,
            groups_claim=settings.groups_claim,
            leeway=settings.leeway,
            max_age=settings.max_token_age,
        )
        self._client = client_for(settings.issuer, transport)
        place = KeySource(issuer=settings.issuer, metadata=settings.metadata, keys=settings.keys)
        self._ring = KeyRing([SigningKeys(place, client=self._client, monotonic=monotonic, sleep=sleep)])
        self._verification = Verification(self._ring, max_bytes=settings.max_token_bytes, types=_TYPES)

    async def start(self) -> None:
        """Begin fetching keys in the background. Does not raise when the issuer cannot be reached."""
        await self._ring.start()

    @property
    def ready(self) -> bool:
        """True while there are keys to check tokens with."""
        return self._ring.ready

    @property
    def discovery(self) -> Discovery:
        return Discovery(self._settings.metadata, "openid")

    async def close(self) -> None:
        """Stop fetching keys."""
        await self._ring.close()
        await self._client.aclose()

    async def verify(self, token: str, now: datetime) -> Identity:
        """The identity that `token` proves. Raises TokenRefused, or ServerUnavailable without any keys."""

        def read(claims: Claims) -> tuple[str, Identity]:
            return self._settings.issuer, read_oidc_identity(claims, self._expected, now)

        return await self._verification.verify(token, read)


def from_section(section: IdentitySection, max_token_bytes: int) -> OidcProvider:
    """Raises InvalidFile with all faults."""
    settings = OidcSettings(
        issuer=section.issuer or "",
        audience=section.audience,
        keys=section.keys,
        groups_claim=section.groups_claim,
        leeway=timedelta(seconds=section.leeway),
        max_token_age=timedelta(seconds=section.max_token_age),
        max_token_bytes=max_token_bytes,
        allow_http=section.allow_http,
    )
    return OidcProvider(settings)
