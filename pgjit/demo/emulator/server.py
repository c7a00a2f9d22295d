"""The emulator as one object, which starts and stops on ports of this machine.

Decides where it listens and which addresses it names. http.py decides the responses.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import uvicorn
from starlette.types import ASGIApp

from pgjit.api.serving import PromptServer
from pgjit.demo.emulator.claims import TokenSubject, access_claims
from pgjit.demo.emulator.cloud import Cloud
from pgjit.demo.emulator.directory import AZURE_CLI, Api, PrincipalKind, RegisteredPrincipal, TenantDirectory
from pgjit.demo.emulator.faults import Faults
from pgjit.demo.emulator.http import authority_http, identity_http
from pgjit.demo.emulator.issuer import SigningKey
from pgjit.demo.emulator.resource import AskedResource, Resource
from pgjit.demo.emulator.settings import AppCredentials, EmulatorSettings

__all__ = ["Emulator", "TlsFiles"]

_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: a close that sends RST


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. The certificate must be for `localhost`."""

    certificate: Path
    key: Path


class Emulator:
    """Usage: `start`, add apps, configure the checker of tokens with `url`, `tenant` and `audience`, `close`."""

    def __init__(
        self, settings: EmulatorSettings | None = None, *, now: Callable[[], datetime] | None = None
    ) -> None:
        self._settings = settings or EmulatorSettings()
        api = self._settings.api or Api(client_id=self._settings.audience, others=(self._settings.people_audience,))
        self.cloud = Cloud(self._settings.tenant, replace(api), now)
        self.cloud.issuer.sts = self._settings.sts or ""
        self.cloud.browser_base = self._settings.browser_url
        self.cloud.codes.approver = self._settings.approver
        self.faults = Faults(self._break_connection)
        self.url = self._settings.url or ""
        self.tls_url = ""  # the address over TLS, if it was started with TLS
        self.identity_url = ""  # managed identities: AZURE_POD_IDENTITY_AUTHORITY_HOST
        self._running: list[tuple[_Server, asyncio.Task[None]]] = []
        self._local = True
        self._populate()

    def _populate(self) -> None:
        for tenant in self._settings.tenants:
            self.cloud.add_tenant(tenant)
        for app in self._settings.apps:
            self._register(app)
        for member in self._settings.members:
            principal = replace(member.principal)
            self.cloud.add_tenant(member.tenant or self.tenant).add(principal, member.groups)
        for group, inner in self._settings.nested:
            self.directory.join(group, inner)

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
    def people_audience(self) -> str:
        """The audience of a second API: the proxy's HTTP API, for people."""
        return self.cloud.api.others[0]

    @property
    def issuer(self) -> str:
        """The `iss` of its version 2 tokens."""
        return self.cloud.issuer.name(self.tenant)

    @property
    def signing_key(self) -> SigningKey:
        return self.cloud.issuer.keys[0]

    @property
    def directory(self) -> TenantDirectory:
        """The first tenant. Principals, groups and memberships may be changed in it."""
        return self.cloud.tenants[self.tenant]

    @property
    def identity_header(self) -> str:
        """The value of IDENTITY_HEADER. IDENTITY_ENDPOINT is `identity_url` plus `/msi/token`."""
        return self.cloud.identity_header

    # --- principals and tokens -----------------------------------------------------------------------------

    def add_app(
        self,
        display: str,
        *,
        groups: Iterable[str] = (),
        client_id: str | None = None,
        client_secret: str | None = None,
        oid: str | None = None,
    ) -> AppCredentials:
        """Register an app that is a member of `groups`. Replaces an app with the same client id."""
        app = AppCredentials.make(display, groups=groups, client_id=client_id, client_secret=client_secret, oid=oid)
        self._register(app)
        return app

    def _register(self, app: AppCredentials) -> None:
        principal = RegisteredPrincipal(
            kind=PrincipalKind.APP,
            display=app.display,
            client_id=app.client_id,
            oid=app.oid,
            secrets=(app.client_secret,),
        )
        self.directory.add(principal, app.groups)

    def claims(
        self,
        who: AppCredentials | RegisteredPrincipal,
        now: datetime | None = None,
        *,
        client: RegisteredPrincipal | None = None,
    ) -> dict[str, object]:
        """The claims of a token for the API. `client` requests it for a person; by default the Azure CLI."""
        directory = next((each for each in self.cloud.tenants.values() if who.oid in each.principals), None)
        if directory is None:
            raise LookupError(f"the emulator does not know {who.oid}")
        principal = directory.principals[who.oid]
        if client is None:
            client = directory.client(AZURE_CLI) if principal.kind.person else principal
        assert client is not None
        credential = "0" if client.public else "1" if client.secrets else "2"
        subject = TokenSubject(principal, client, credential)
        asked = AskedResource(Resource.API, self.cloud.api.uris[0], self.cloud.api.scopes)
        return access_claims(subject, asked, self.cloud.api, directory, self.cloud.issuer, now or self.cloud.now())

    def issue(
        self,
        who: AppCredentials | RegisteredPrincipal,
        *,
        now: datetime | None = None,
        **overrides: object,
    ) -> str:
        """A signed token; `overrides` are claims, `ABSENT` leaves one out."""
        return self.sign({**self.claims(who, now), **overrides})

    def sign(
        self,
        claims: Mapping[str, object] | bytes,
        header: Mapping[str, object] | bytes | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """A token with exactly these claims. `header` changes the usual header. Bytes are used unchanged."""
        return self.cloud.issuer.sign(claims, header, key)

    def rotate_keys(self, *, keep_old: bool = False) -> SigningKey:
        """Sign with a new key from now on. Without `keep_old` the old one leaves the key set."""
        return self.cloud.issuer.rotate(keep_old=keep_old)

    # --- start and stop ------------------------------------------------------------------------------------

    async def start(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: TlsFiles | None = None,
        tls_port: int = 0,
        identity_port: int = 0,
    ) -> None:
        """Serve in the running event loop. Raises OSError when it cannot listen there.

        With `tls` the same is served over TLS as well; what clients insist on, under `tls_url`.
        """
        if self._running:
            raise RuntimeError("the emulator is running")
        self._local = host in ("127.0.0.1", "::1", "localhost")
        ports = [port, identity_port, *([tls_port] if tls is not None else [])]
        listening, identity, *secured = _listen(host, ports)
        authority = self._reached_at(host, listening, identity, secured)
        try:
            await self._serve(authority, listening, None)
            await self._serve(self.faults.around(identity_http(self.cloud)), identity, None)
            if secured:
                await self._serve(authority, secured[0], tls)
        except BaseException:
            await self.close()
            raise

    def _reached_at(
        self, host: str, listening: socket.socket, identity: socket.socket, secured: list[socket.socket]
    ) -> ASGIApp:
        """Set this emulator's addresses from its sockets. Returns the apps of the first and the last socket."""
        if self._settings.url is None:
            self.url = f"http://{_shown(host)}:{listening.getsockname()[1]}"
        self.identity_url = f"http://{_shown(host)}:{identity.getsockname()[1]}"
        self.tls_url = f"https://localhost:{secured[0].getsockname()[1]}" if secured else ""
        self.cloud.issuer.url = self.url
        self.cloud.bases = {self.url, *([self.tls_url] if self.tls_url else [])}
        served = authority_http(
            self.cloud,
            self.faults,
            places={"http": self.url, "https": self.tls_url},
            admin_key=self._settings.admin_key,
            open_to_all=lambda: self._local,
            sign_anything=self._settings.sign_anything,
        )
        return self.faults.around(served)

    async def _serve(self, app: ASGIApp, listening: socket.socket, tls: TlsFiles | None) -> None:
        server = _Server(app, tls)
        task = asyncio.create_task(server.serve([listening]), name="entra emulator")
        serving = asyncio.create_task(server.serving.wait())
        await asyncio.wait({task, serving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            serving.cancel()
            await task
        self._running.append((server, task))

    async def close(self) -> None:
        """Stop serving and free the ports. The emulator can be started again."""
        running, self._running = self._running, []
        for server, _ in running:
            server.stop()
        for _, task in running:
            await task

    def _break_connection(self, client: tuple[str, int]) -> None:
        for server, _ in self._running:
            server.reset(client)


def _listen(host: str, ports: list[int]) -> list[socket.socket]:
    """A socket on each of `ports`. If one fails, none stays open."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as opened:
        sockets = [
            opened.enter_context(socket.create_server((host, port), family=family, backlog=128)) for port in ports
        ]
        opened.pop_all()
    return sockets


def _shown(host: str) -> str:
    reached = _ANYWHERE.get(host, host)
    return f"[{reached}]" if ":" in reached else reached


class _Server(PromptServer):
    """An HTTP server whose connections can be reset."""

    def __init__(self, app: ASGIApp, tls: TlsFiles | None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
                ssl_certfile=str(tls.certificate) if tls else None,
                ssl_keyfile=str(tls.key) if tls else None,
            )
        )

    def reset(self, client: tuple[str, int]) -> None:
        """Reset the connection of this client, if this server has it."""
        for connection in list(self.server_state.connections):
            transport: asyncio.Transport | None = getattr(connection, "transport", None)
            if transport is not None and tuple(transport.get_extra_info("peername", ()))[:2] == client:
                raw = transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                transport.abort()
