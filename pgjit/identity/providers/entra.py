"""Microsoft Entra as identity provider: verifies access tokens for the API registration of this proxy.

Decides which tenants, token versions and audiences are accepted. Keys come from the URLs that the configuration pins,
one for each tenant and version; nothing in a token changes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pgjit.errors import InvalidFile
from pgjit.identity.entra_claims import GUID, Claims, ExpectedEntraClaims, Issuer, read_identity
from pgjit.identity.identity import Identity
from pgjit.identity.jwt_provider import LONGEST_AGE, MAX_LEEWAY, JwtProvider, bounds_faults
from pgjit.identity.membership_rechecks import GroupSource
from pgjit.identity.provider import Discovery
from pgjit.identity.section import IdentitySection
from pgjit.identity.signing_keys import KeySource
from pgjit.identity.url_checks import origin_faults

__all__ = ["EntraProvider", "EntraSettings", "from_section"]

_VERSIONS: Final = {"v1": "1.0", "v2": "2.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntraSettings:
    """Which tokens are accepted. Raises InvalidFile with all faults, also where the settings would be unsafe."""

    tenants: tuple[str, ...]
    audience: str
    app_id_uris: tuple[str, ...] = ()
    authority: str = "https://login.microsoftonline.com"
    sts: str = "https://sts.windows.net"
    versions: tuple[str, ...] = ("v2",)
    leeway: timedelta = MAX_LEEWAY
    max_token_age: timedelta = LONGEST_AGE
    max_token_bytes: int = 16 * 1024
    allow_http: bool = False
    overage: bool = False  # a token without its groups is accepted, and the directory is queried
    token_types: frozenset[str] = field(default=frozenset({"JWT"}), init=False)
    expected: ExpectedEntraClaims = field(init=False, repr=False, compare=False)  # of a token's claims

    def __post_init__(self) -> None:
        if faults := self._faults():
            raise InvalidFile("identity configuration", faults)
        object.__setattr__(self, "tenants", tuple(tenant.lower() for tenant in self.tenants))
        object.__setattr__(self, "audience", self.audience.lower())
        object.__setattr__(self, "authority", self.authority.removesuffix("/"))
        object.__setattr__(self, "sts", self.sts.removesuffix("/"))
        object.__setattr__(self, "expected", self._expected())

    def _faults(self) -> list[str]:
        faults = []
        if not self.tenants or not all(GUID.match(tenant) for tenant in self.tenants):
            faults.append("`tenant` is not a GUID")
        elif len({tenant.lower() for tenant in self.tenants}) != len(self.tenants):
            faults.append("`tenant` names a tenant twice")
        if not GUID.match(self.audience):
            faults.append("`audience` is not a GUID")
        faults += origin_faults("authority", self.authority, allow_http=self.allow_http)
        faults += origin_faults("sts", self.sts, allow_http=self.allow_http)
        if not self.versions or not set(self.versions) <= _VERSIONS.keys():
            faults.append("`token_versions` are not `v1` or `v2`")
        if not all(uri.strip() == uri != "" for uri in self.app_id_uris):
            faults.append("`app_id_uri` is empty or has spaces around it")
        return faults + bounds_faults(self)

    def issuer(self, tenant: str, version: str) -> str:
        """The claim `iss` of its tokens."""
        return f"{self.sts}/{tenant}/" if version == "v1" else f"{self.authority}/{tenant}/v2.0"

    @property
    def key_host(self) -> str:
        return self.authority

    @property
    def key_sources(self) -> list[KeySource]:
        return [self._key_source(tenant, version) for tenant in self.tenants for version in self.versions]

    def _key_source(self, tenant: str, version: str) -> KeySource:
        folder = "" if version == "v1" else "/v2.0"
        return KeySource(
            issuer=self.issuer(tenant, version),
            metadata=f"{self.authority}/{tenant}{folder}/.well-known/openid-configuration",
            # The key sets of both versions name the v2 issuer beside their keys.
            key_issuers=frozenset({self.issuer(tenant, "v2")}),
            tenant=tenant,
        )

    def _expected(self) -> ExpectedEntraClaims:
        issuers = tuple(
            Issuer(
                issuer=self.issuer(tenant, version),
                tenant=tenant,
                version=_VERSIONS[version],
                audiences=frozenset({self.audience, *(self.app_id_uris if version == "v1" else ())}),
                first=tenant == self.tenants[0],
            )
            for tenant in self.tenants
            for version in self.versions
        )
        return ExpectedEntraClaims(
            issuers=issuers, leeway=self.leeway, max_age=self.max_token_age, overage=self.overage
        )


class EntraProvider(JwtProvider[EntraSettings]):
    """The provider `entra`."""

    @property
    def discovery(self) -> Discovery:
        """The metadata URL of the first tenant, and the scope of all permissions of the API."""
        issuer = self.settings.issuer(self.settings.tenants[0], "v2")
        return Discovery(f"{issuer}/.well-known/openid-configuration", f"{self.settings.audience}/.default")

    def read(self, claims: Claims, now: datetime) -> tuple[str, Identity]:
        return str(claims.get("iss")), read_identity(claims, self.settings.expected, now)


def from_section(section: IdentitySection, max_token_bytes: int) -> EntraProvider:
    """Raises InvalidFile with all faults."""
    settings = EntraSettings(
        tenants=section.tenant,
        audience=section.audience,
        app_id_uris=section.app_id_uri,
        authority=section.authority,
        sts=section.sts,
        versions=section.token_versions,
        leeway=timedelta(seconds=section.leeway),
        max_token_age=timedelta(seconds=section.max_token_age),
        max_token_bytes=max_token_bytes,
        allow_http=section.allow_http,
        overage=section.group_source is not GroupSource.CLAIM,
    )
    return EntraProvider(settings)
