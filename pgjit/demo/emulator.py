"""A local Entra: its own keys, discovery and key set over HTTP, and a client-credentials token endpoint.

For demo, tests and trying policies out. Its keys are made at each start and trusted by nobody else. Decides what
a real v2.0 app-only token looks like; checks no policy.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from pgjit.admin.api import AdminServer
from pgjit.document import Document

__all__ = ["AppCredentials", "Emulator", "EmulatorSettings", "read_settings"]

TOKEN_LIFE = 75 * 60


@dataclass(frozen=True, slots=True)
class AppCredentials:
    """An app registration and its service principal. `oid` is the principal's, which is not the app's id."""

    name: str
    client_id: str
    client_secret: str = field(repr=False)
    oid: str = field(default="")
    groups: tuple[str, ...] = ()


class AppSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    client_id: str
    secret: str
    groups: tuple[str, ...] = ()


class EmulatorSettings(BaseModel):
    """The emulator's file. `url` is what it calls itself; its address if not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str | None = None
    tenant: str | None = None
    audience: str | None = None
    apps: tuple[AppSection, ...] = ()


def read_settings(path: Path) -> EmulatorSettings:
    """Raises InvalidFile."""
    document = Document.read(path)
    settings = document.model(EmulatorSettings)
    document.check(f"emulator configuration {path}")
    assert settings is not None
    return settings


class _Key:
    def __init__(self) -> None:
        self.kid = secrets.token_urlsafe(20)
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public(self, issuer: str) -> dict[str, str]:
        """As Entra publishes it: no `alg`, and the issuer beside it."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
            "issuer": issuer,
        }


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


class Emulator:
    def __init__(self, settings: EmulatorSettings | None = None) -> None:
        settings = settings or EmulatorSettings()
        self.tenant = settings.tenant or str(uuid.uuid4())
        self.audience = settings.audience or str(uuid.uuid4())
        self.url = settings.url or ""
        self._apps: dict[str, AppCredentials] = {}
        self._keys = [_Key()]
        self._server = AdminServer(self._api())
        for app in settings.apps:
            self.add_app(app.name, groups=app.groups, client_id=app.client_id, client_secret=app.secret)

    @property
    def issuer(self) -> str:
        return f"{self.url}/{self.tenant}/v2.0"

    async def start(self, host: str, port: int = 0) -> None:
        """Raises OSError when the port is taken."""
        await self._server.open(host, port)
        self.url = self.url or f"http://{host}:{self._server.port}"

    async def close(self) -> None:
        await self._server.close()

    # --- what is in the tenant -------------------------------------------------------------------------

    def add_app(
        self,
        name: str,
        *,
        groups: Sequence[str] = (),
        client_id: str | None = None,
        client_secret: str | None = None,
    ) -> AppCredentials:
        app = AppCredentials(
            name,
            client_id or str(uuid.uuid4()),
            client_secret or secrets.token_urlsafe(24),
            str(uuid.uuid5(uuid.UUID(self.tenant), client_id)) if client_id else str(uuid.uuid4()),
            tuple(groups),
        )
        self._apps[app.client_id] = app
        return app

    def rotate_keys(self, *, keep_old: bool = True) -> None:
        """Sign with a new key from now on."""
        self._keys = [_Key(), *(self._keys if keep_old else ())]

    def claims(self, app: AppCredentials, *, life: int = TOKEN_LIFE) -> dict[str, Any]:
        """The claims of a v2.0 app-only access token."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": self.audience,
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + life,
            "aio": secrets.token_urlsafe(24),
            "azp": app.client_id,
            "azpacr": "1",
            "idtyp": "app",
            "oid": app.oid,
            "rh": secrets.token_urlsafe(16),
            "sub": app.oid,
            "tid": self.tenant,
            "uti": secrets.token_urlsafe(16),
            "ver": "2.0",
            "app_displayname": app.name,
        }
        if app.groups:
            claims["groups"] = list(app.groups)
        return claims

    def sign(self, claims: Mapping[str, Any], *, headers: Mapping[str, Any] | None = None) -> str:
        """Any claims, signed with the current key: for tests of what must be refused."""
        key = self._keys[0]
        return jwt.encode(dict(claims), key.private, algorithm="RS256", headers={"kid": key.kid, **(headers or {})})

    # --- over HTTP -------------------------------------------------------------------------------------

    def _api(self) -> FastAPI:
        api = FastAPI(title="Entra emulator", docs_url=None, redoc_url=None)

        @api.get("/{tenant}/v2.0/.well-known/openid-configuration")
        async def discovery(tenant: str) -> JSONResponse:
            if tenant != self.tenant:
                return _oauth_error(400, "invalid_tenant", "AADSTS90002: tenant not found")
            base = f"{self.url}/{self.tenant}"
            return JSONResponse(
                {
                    "issuer": self.issuer,
                    "jwks_uri": f"{base}/discovery/v2.0/keys",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "token_endpoint_auth_methods_supported": ["client_secret_post"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )

        @api.get("/{tenant}/discovery/v2.0/keys")
        async def keys(tenant: str) -> JSONResponse:
            if tenant != self.tenant:
                return _oauth_error(400, "invalid_tenant", "AADSTS90002: tenant not found")
            return JSONResponse({"keys": [key.public(self.issuer) for key in self._keys]})

        @api.post("/{tenant}/oauth2/v2.0/token")
        async def token(tenant: str, request: Request) -> JSONResponse:
            form = parse_qs((await request.body()).decode("utf-8", "replace"))
            fields = ("grant_type", "client_id", "client_secret", "scope")
            return self._token(tenant, *(form.get(name, [""])[0] for name in fields))

        return api

    def _token(self, tenant: str, grant_type: str, client_id: str, client_secret: str, scope: str) -> JSONResponse:
        """The client credentials grant (RFC 6749, 4.4)."""
        if tenant != self.tenant:
            return _oauth_error(400, "invalid_request", "AADSTS90002: tenant not found")
        if grant_type != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type", "AADSTS70003: only client_credentials is known")
        app = self._apps.get(client_id)
        if app is None or not hmac.compare_digest(app.client_secret.encode(), client_secret.encode()):
            return _oauth_error(401, "invalid_client", "AADSTS7000215: invalid client id or secret")
        if scope not in (f"{self.audience}/.default", f"api://{self.audience}/.default"):
            return _oauth_error(400, "invalid_scope", "AADSTS70011: the scope is not this API's /.default")
        signed = self.sign(self.claims(app))
        return JSONResponse({"token_type": "Bearer", "expires_in": TOKEN_LIFE, "access_token": signed})


def _oauth_error(status: int, error: str, description: str) -> JSONResponse:
    return JSONResponse({"error": error, "error_description": description}, status_code=status)
