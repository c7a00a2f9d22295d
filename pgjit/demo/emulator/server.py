"""The emulator on a port: metadata, keys and the token endpoint with the client credentials grant.

Decides what Entra would answer to a request, in its own error codes. What a token holds is issuer.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, Self
from urllib.parse import parse_qsl

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from pgjit.demo.emulator.issuer import LIFETIME, Issuer, SigningKey
from pgjit.demo.emulator.settings import AppCredentials, EmulatorSettings

__all__ = ["Emulator"]

_MAX_FORM_BYTES: Final = 64 * 1024
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on


class _OAuthError(Exception):
    """An error of the token endpoint: OAuth's name, Entra's number."""

    def __init__(self, error: str, number: int, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.number, self.description, self.status = error, number, description, status


class Emulator:
    """`start` it, add apps, give `url`, `tenant` and `audience` to the one who checks tokens, `close` it."""

    def __init__(self, settings: EmulatorSettings | None = None) -> None:
        self._settings = settings or EmulatorSettings()
        self._issuer = Issuer(tenant=self._settings.tenant, audience=self._settings.audience)
        self._apps = {app.client_id: app for app in self._settings.apps}
        self._running: tuple[_Server, asyncio.Task[None]] | None = None
        self.url = self._settings.url or ""

    @classmethod
    def from_settings(cls, settings: EmulatorSettings) -> Self:
        """An emulator with fixed ids, for example from `read_settings`."""
        return cls(settings)

    @property
    def tenant(self) -> str:
        return self._settings.tenant

    @property
    def audience(self) -> str:
        return self._settings.audience

    @property
    def issuer(self) -> str:
        """What `iss` of its tokens says."""
        return self._issuer.name

    @property
    def signing_key(self) -> SigningKey:
        return self._issuer.keys[0]

    # --- apps and tokens -----------------------------------------------------------------------------------

    def add_app(
        self,
        display: str,
        *,
        groups: Iterable[str] = (),
        client_id: str | None = None,
        client_secret: str | None = None,
        oid: str | None = None,
    ) -> AppCredentials:
        """Register an app that is a member of `groups`; an app of the same client id is replaced."""
        app = AppCredentials.make(display, groups=groups, client_id=client_id, client_secret=client_secret, oid=oid)
        self._apps[app.client_id] = app
        return app

    def claims(self, app: AppCredentials, now: datetime | None = None) -> dict[str, object]:
        """What a token for `app` says."""
        return self._issuer.claims(app, now or datetime.now(UTC))

    def issue(self, app: AppCredentials, *, now: datetime | None = None, **overrides: object) -> str:
        """A signed token for `app`; `overrides` are claims, `ABSENT` leaves one out."""
        return self.sign({**self.claims(app, now), **overrides})

    def sign(
        self,
        claims: Mapping[str, object] | bytes,
        header: Mapping[str, object] | bytes | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """A token with exactly these claims; `header` changes the usual one, bytes are taken as they are."""
        return self._issuer.sign(claims, header, key)

    def rotate_keys(self, *, keep_old: bool = False) -> SigningKey:
        """Sign with a new key from now on; the old one is gone from the key set unless `keep_old`."""
        return self._issuer.rotate(keep_old=keep_old)

    # --- life ----------------------------------------------------------------------------------------------

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve in the running event loop. Raises OSError when it cannot listen there."""
        if self._running is not None:
            raise RuntimeError("the emulator is running")
        server = _Server(self._http())
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
        if self._settings.url is None:
            reached = _ANYWHERE.get(host, host)
            shown = f"[{reached}]" if ":" in reached else reached
            self.url = f"http://{shown}:{listening.getsockname()[1]}"
        self._issuer.name = f"{self.url}/{self.tenant}/v2.0"
        task = asyncio.create_task(server.serve([listening]), name="entra emulator")
        self._running = server, task
        serving = asyncio.create_task(server.serving.wait())
        await asyncio.wait({task, serving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            serving.cancel()
            self._running = None
            await task

    async def close(self) -> None:
        """Stop serving and free the port. May be started again."""
        if self._running is not None:
            server, task = self._running
            self._running = None
            server.should_exit = True
            await task

    # --- HTTP ----------------------------------------------------------------------------------------------

    def _http(self) -> FastAPI:
        http = FastAPI(title="Entra emulator", docs_url=None, redoc_url=None, openapi_url=None)

        @http.get("/{tenant}/v2.0/.well-known/openid-configuration")
        async def metadata(tenant: str) -> JSONResponse:
            self._check_tenant(tenant)
            return JSONResponse(self._metadata())

        @http.get("/{tenant}/discovery/v2.0/keys")
        async def keys(tenant: str) -> JSONResponse:
            self._check_tenant(tenant)
            return JSONResponse({"keys": [key.published(self.issuer) for key in self._issuer.keys]})

        @http.post("/{tenant}/oauth2/v2.0/token")
        async def token(tenant: str, request: Request) -> JSONResponse:
            self._check_tenant(tenant)
            return self._token(await _form(request))

        @http.exception_handler(_OAuthError)
        async def refused(request: Request, fault: _OAuthError) -> JSONResponse:  # noqa: ARG001 - FastAPI's
            return _error(fault)

        return http

    def _check_tenant(self, tenant: str) -> None:
        if tenant != self.tenant:
            raise _OAuthError("invalid_tenant", 90002, "Tenant not found.")

    def _metadata(self) -> dict[str, object]:
        place = f"{self.url}/{self.tenant}"
        return {
            "token_endpoint": f"{place}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "jwks_uri": f"{place}/discovery/v2.0/keys",
            "grant_types_supported": ["client_credentials"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "issuer": self.issuer,
        }

    def _token(self, form: Mapping[str, str]) -> JSONResponse:
        for name in ("grant_type", "client_id", "scope"):
            if not form.get(name):
                raise _OAuthError("invalid_request", 900144, f"The request body must contain '{name}'.")
        if form["grant_type"] != "client_credentials":
            raise _OAuthError("unsupported_grant_type", 70003, "The grant type is not supported.")
        app = self._apps.get(form["client_id"])
        if app is None:
            raise _OAuthError("unauthorized_client", 700016, "Application was not found in the directory.")
        if not form.get("client_secret"):
            raise _OAuthError("invalid_client", 7000218, "The request body must contain 'client_secret'.", 401)
        if not hmac.compare_digest(form["client_secret"].encode(), app.client_secret.encode()):
            raise _OAuthError("invalid_client", 7000215, "Invalid client secret provided.", 401)
        resource = form["scope"].removesuffix("/.default")
        if resource == form["scope"]:
            raise _OAuthError("invalid_scope", 1002012, "The scope is not valid: it must end in '/.default'.")
        if resource.removeprefix("api://") != self.audience:
            raise _OAuthError("invalid_resource", 500011, "The resource was not found in the tenant.")
        lifetime = int(LIFETIME.total_seconds()) - 1
        return JSONResponse(
            {
                "token_type": "Bearer",
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": self.issue(app),
            },
            headers={"Cache-Control": "no-store", "Pragma": "no-cache"},
        )


async def _form(request: Request) -> dict[str, str]:
    """The form in the body. A parameter must not come twice (RFC 6749, section 3.2)."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise _OAuthError("invalid_request", 9002313, "The body must be 'application/x-www-form-urlencoded'.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            raise _OAuthError("invalid_request", 9002313, "The body is too large.", 413)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise _OAuthError("invalid_request", 9002313, "The body is malformed.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _OAuthError("invalid_request", 9002313, "A parameter is given twice.")
    return form


def _error(fault: _OAuthError) -> JSONResponse:
    trace, correlation, at = uuid.uuid4(), uuid.uuid4(), f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}"
    text = f"AADSTS{fault.number}: {fault.description}"
    return JSONResponse(
        {
            "error": fault.error,
            "error_description": f"{text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}",
            "error_codes": [fault.number],
            "timestamp": at,
            "trace_id": str(trace),
            "correlation_id": str(correlation),
        },
        status_code=fault.status,
        headers={"Cache-Control": "no-store", "Pragma": "no-cache"},
    )


class _Server(uvicorn.Server):
    """Signals are the program's to handle, and `serving` is set when it answers."""

    def __init__(self, http: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                http,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
            )
        )
        self.serving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
