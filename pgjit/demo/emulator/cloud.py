"""The state that the endpoints share: tenants, the API registration, keys, pending codes and issued tokens.

Decides nothing. Does not know HTTP.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from pgjit.demo.emulator.authorize import AuthorizationCodes
from pgjit.demo.emulator.claims import TokenSubject, access_claims
from pgjit.demo.emulator.device import DeviceCodes
from pgjit.demo.emulator.directory import Api, TenantDirectory
from pgjit.demo.emulator.issuer import TokenIssuer
from pgjit.demo.emulator.oauth_error import OAuthError
from pgjit.demo.emulator.resource import AskedResource, Resource

__all__ = ["ANY_TENANT", "Cloud", "RefreshToken"]

ANY_TENANT = frozenset({"common", "organizations"})


@dataclass(frozen=True, slots=True)
class RefreshToken:
    tenant: str
    client_id: str
    user: str
    scope: str
    signed_in_at: datetime | None = None
    contexts: tuple[str, ...] = ()  # that the person satisfied at the sign-in


class Cloud:
    def __init__(self, home: str, api: Api, now: Callable[[], datetime] | None = None) -> None:
        self.home = home  # the first tenant
        self.api = api
        self.tenants = {home: TenantDirectory(home)}
        self.issuer = TokenIssuer()
        self.codes = DeviceCodes()
        self.authorization_codes = AuthorizationCodes()
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.identity_header = secrets.token_urlsafe(24)  # what App Service gives to its apps
        self.kept_tokens: dict[
            tuple[str, str], tuple[str, datetime]
        ] = {}  # of managed identities; Azure caches them too
        self.bases: set[str] = set()  # the addresses of the emulator
        self.browser_base: str | None = None  # of the sign-in page, if browsers reach it elsewhere
        self.now = now or (lambda: datetime.now(UTC))

    @cached_property
    def workload(self) -> TokenIssuer:
        """The issuer of a platform that is not Entra, for federated credentials. Its key is made at the first use."""
        return TokenIssuer()

    @property
    def workload_issuer(self) -> str:
        return f"{self.issuer.url}/workload"

    def directory(self, tenant: str) -> TenantDirectory:
        """Raises OAuthError for an unknown tenant."""
        found = self.tenants.get(tenant.lower())
        if found is None:
            raise OAuthError("invalid_tenant", 90002, "Tenant not found.")
        return found

    def add_tenant(self, tenant: str) -> TenantDirectory:
        return self.tenants.setdefault(tenant, TenantDirectory(tenant))

    def issuers(self) -> dict[str, TokenIssuer]:
        """The issuers whose signatures can be checked, by name."""
        names = {self.issuer.name(tenant): self.issuer for tenant in self.tenants}
        return {**names, self.workload_issuer: self.workload}

    def access_token(self, subject: TokenSubject, asked: AskedResource, directory: TenantDirectory) -> str:
        claims = access_claims(subject, asked, self.api, directory, self.issuer, self.now())
        if asked.resource is Resource.GRAPH:
            return self.issuer.sign_for_graph(claims)
        return self.issuer.sign(claims)
