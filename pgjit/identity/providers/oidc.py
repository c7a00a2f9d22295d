"""Any OpenID Connect issuer as identity provider: verifies JWT access tokens for the audience of this proxy.

Decides which issuer and audience are accepted; `oidc_claims.py` reads the claims. Keys come from the URL in the
issuer's metadata, which must be on the issuer's host or be the one that the configuration names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pgjit.errors import InvalidFile
from pgjit.identity.entra_claims import Claims
from pgjit.identity.identity import Identity
from pgjit.identity.jwt_provider import LONGEST_AGE, MAX_LEEWAY, JwtProvider, bounds_faults
from pgjit.identity.oidc_claims import ExpectedOidcClaims, read_oidc_identity
from pgjit.identity.provider import Discovery
from pgjit.identity.section import IdentitySection
from pgjit.identity.signing_keys import KeySource
from pgjit.identity.url_checks import url_faults

__all__ = ["OidcProvider", "OidcSettings", "from_section"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """Which tokens are accepted. Raises InvalidFile with all faults."""

    issuer: str
    audience: str
    keys: str | None = None
    groups_claim: str = "groups"
    leeway: timedelta = MAX_LEEWAY
    max_token_age: timedelta = LONGEST_AGE
    max_token_bytes: int = 16 * 1024
    allow_http: bool = False
    token_types: frozenset[str] = field(default=frozenset({"JWT", "at+jwt"}), init=False)
    expected: ExpectedOidcClaims = field(init=False, repr=False, compare=False)  # of a token's claims

    def __post_init__(self) -> None:
        faults = url_faults("issuer", self.issuer, allow_http=self.allow_http)
        if self.keys is not None:
            faults += url_faults("keys", self.keys, allow_http=self.allow_http)
        if not self.audience or not self.groups_claim:
            faults.append("`audience` and `groups_claim` must not be empty")
        faults += bounds_faults(self)
        if faults:
            raise InvalidFile("identity configuration", faults)
        expected = ExpectedOidcClaims(
            issuer=self.issuer,
            audience=self.audience,
            groups_claim=self.groups_claim,
            leeway=self.leeway,
            max_age=self.max_token_age,
        )
        object.__setattr__(self, "expected", expected)

    @property
    def metadata(self) -> str:
        return f"{self.issuer.removesuffix('/')}/.well-known/openid-configuration"

    @property
    def key_host(self) -> str:
        return self.issuer

    @property
    def key_sources(self) -> list[KeySource]:
        return [KeySource(issuer=self.issuer, metadata=self.metadata, keys=self.keys)]


class OidcProvider(JwtProvider[OidcSettings]):
    """The provider `oidc`."""

    @property
    def discovery(self) -> Discovery:
        return Discovery(self.settings.metadata, "openid")

    def read(self, claims: Claims, now: datetime) -> tuple[str, Identity]:
        return self.settings.issuer, read_oidc_identity(claims, self.settings.expected, now)


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
