"""Everything that the demo and the end-to-end tests need: a database, an identity provider and the proxy.

Decides where the parts keep their files (in one folder, which is deleted at the end) and how they are connected: by a
configuration file like the one that `pgjit serve` reads.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Self

import yaml

from pgjit.app import App
from pgjit.app.inherited_sockets import InheritedSockets
from pgjit.config import load_config
from pgjit.demo.certificates import Certificates, make_certificates
from pgjit.demo.client import write_psql
from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import AppCredentials, Emulator, PrincipalKind, RegisteredPrincipal, TlsFiles
from pgjit.identity.fetch import client_for
from pgjit.parts import Parts

__all__ = ["ANALYSTS", "MIGRATIONS", "POLICIES", "REVIEWERS", "SCHEMA_CHECKS", "World"]


def _policies() -> Path:
    """The folder of the example policies, in an installed package or in a checkout."""
    installed = Path(__file__).parent / "policies"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "policies"


POLICIES = _policies()
# A machine that is busy with other work takes its time.
_PATIENT = {"catalog_seconds": 60, "handshake_seconds": 120}
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml, where it is installed, is ten times as fast
_SECONDS = 60.0  # for a token
SCHEMA_CHECKS = "5f0c8a3e-7d52-4c1b-9a64-1f6f2b0d9c11"
ANALYSTS = "8b1d2f47-0c3a-4e9e-b7f5-6a2c4d8e9f20"
MIGRATIONS = "6d3e8b15-94f7-4a2c-b1d0-3c7a5e9f8240"
REVIEWERS = "2a7f90c4-63d1-4b8e-9c05-e18d4f6b7a31"


def _with_length(text: str, key: str, length: timedelta) -> str:
    """The policy with `key` set to `length`. A policy without the key has its default; the key is then added."""
    line = f"{key}: {max(1, int(length.total_seconds()))}s"
    changed, count = re.subn(rf"^{key}: \S+", line, text, flags=re.MULTILINE)
    return changed if count else f"{text.rstrip()}\n{line}\n"


class World:
    """`async with World() as world:` starts all parts. Leaving the block stops them."""

    database: DemoDatabase
    emulator: Emulator
    certificates: Certificates
    app: App

    def __init__(
        self,
        *,
        folder: Path | None = None,
        ttl: Mapping[str, timedelta] | None = None,
        policies: Path = POLICIES,
        database: DemoDatabase | None = None,
        cooldown: Mapping[str, timedelta] | None = None,
        port: int = 0,
        config: Mapping[str, object] | None = None,
        console: bool = False,
    ) -> None:
        """`ttl` sets the length of windows by policy, `cooldown` the time between them.

        `config` replaces whole sections of the configuration file. `console`: there is one, at `console_url`; the
        section `api` must be given.
        """
        self._fixed_folder = folder
        self._ttl = ttl or {}
        self._cooldown = cooldown or {}
        self._policies = policies
        self._fixed_database = database
        self._port = port
        self._config = config or {}
        self._console = console
        self.console_url = ""
        self._parts = Parts(
            {
                "folder": self._run_folder,
                "database": self._run_database,
                "emulator": self._run_emulator,
                "proxy": self._run_proxy,
            }
        )
        self.folder = Path()

    async def __aenter__(self) -> Self:
        await self._parts.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        # Nothing uses the emulator any more: it stops while the proxy stops.
        closing = asyncio.create_task(self.emulator.close())
        try:
            await self._parts.stop()
        finally:
            await closing

    @asynccontextmanager
    async def _run_folder(self) -> AsyncIterator[None]:
        if self._fixed_folder is not None:
            self.folder = self._fixed_folder
            self.certificates = make_certificates(self.folder)
            yield
            return
        self.folder = Path(tempfile.mkdtemp(prefix="pgjit-"))
        try:
            self.certificates = make_certificates(self.folder)
            yield
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @asynccontextmanager
    async def _run_database(self) -> AsyncIterator[None]:
        self.database = self._fixed_database or DemoDatabase()
        if self._fixed_database is None:
            # The account that the server runs as must be able to reach its folder.
            await asyncio.to_thread(self.database.start, self.folder)
        try:
            self.psql = write_psql(self.folder, self.database.psql_path)
            yield
        finally:
            if self._fixed_database is None:
                await asyncio.to_thread(self.database.stop)

    @asynccontextmanager
    async def _run_emulator(self) -> AsyncIterator[None]:
        self.emulator = Emulator()
        tls = TlsFiles(self.certificates.certificate, self.certificates.key)
        await self.emulator.start("127.0.0.1", 0, tls=tls)
        try:
            yield
        finally:
            await self.emulator.close()

    @asynccontextmanager
    async def _run_proxy(self) -> AsyncIterator[None]:
        self._copy_policies()
        # The redirect URI is registered before the port is served: so the socket is opened here.
        listening = socket.create_server(("127.0.0.1", 0), backlog=128) if self._console else None
        if listening is not None:
            listening.setblocking(False)
            self.console_url = f"https://localhost:{listening.getsockname()[1]}"
        self.config_file = self._write_config()
        config = await asyncio.to_thread(load_config, self.config_file)
        self.app = App(config, inherited=InheritedSockets(api=listening))
        async with self.app:
            yield

    def _copy_policies(self) -> None:
        target = self.folder / "policies"
        target.mkdir(exist_ok=True)
        for source in sorted(self._policies.glob("*.yaml")):
            text = source.read_text()
            if not source.stem.endswith("_test"):
                text = self._with_lengths(text)
            (target / source.name).write_text(text)
        for catalog in self._policies.glob("*.catalog.json"):  # of their tests
            shutil.copy(catalog, target)

    def _with_lengths(self, text: str) -> str:
        for key, lengths in (("ttl", self._ttl), ("cooldown", self._cooldown)):
            for name, length in lengths.items():
                if re.search(rf"^policy: {re.escape(name)}$", text, re.MULTILINE):
                    text = _with_length(text, key, length)
        return text

    def _write_config(self) -> Path:
        logins = {
            "prod-replica": (self.database.user, self.database.password),
            "prod-primary": (self.database.writer, self.database.writer_password),
        }
        limits = self._config.get("limits", {})
        assert isinstance(limits, dict)
        config: dict[str, object] = {
            "listen": {"host": "127.0.0.1", "port": self._port},
            "tls": {"certificate": str(self.certificates.certificate), "key": str(self.certificates.key)},
            "identity": {
                "provider": "entra",
                "tenant": self.emulator.tenant,
                "audience": self.emulator.audience,
                "authority": self.emulator.url,
            },
            "connections": {name: self._connection(name, *login) for name, login in logins.items()},
            "policies": "policies",
            "store": {"path": "pgjit.sqlite3"},
            "journal": {"folder": "journal"},
            "admin": {"port": 0},
            **self._config,
            "limits": {**_PATIENT, **limits},
        }
        if "api" in self._config:
            api = {"listen": {"port": 0}, "audience": self.emulator.people_audience}
            console = {"console": self._console_section()} if self._console else {}
            config["api"] = {**api, **console, **dict(self._config["api"])}  # type: ignore[call-overload]
        path = self.folder / "pgjit.yaml"
        path.write_text(yaml.dump(config, Dumper=_DUMPER, sort_keys=False))
        return path

    def _console_section(self) -> dict[str, object]:
        """The console, with a registration of its own at the emulator."""
        secret = self.folder / "console-secret"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(24))
        client = RegisteredPrincipal(
            kind=PrincipalKind.APP,
            display="pgjit console",
            secrets=(secret.read_text(),),
            redirect_uris=(f"{self.console_url}/signed-in",),
        )
        self.emulator.directory.add(client)
        return {
            "url": self.console_url,
            "client_id": client.client_id,
            "client_secret": {"file": str(secret)},
        }

    def _connection(self, name: str, user: str, password: str) -> dict[str, object]:
        """The same server as replica and primary; only the login role differs."""
        secret = self.folder / f"{name}-password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        return {
            "host": str(self.database.socket_dir),
            "port": self.database.port,
            "database": self.database.database,
            "user": user,
            "password": {"file": str(secret)},
        }

    # --- for clients -----------------------------------------------------------------------------------

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    def conninfo(self, policy: str, connection: str = "prod-replica") -> str:
        """The libpq connection string; the token goes into PGPASSWORD."""
        return (
            f"host=localhost port={self.app.port} dbname={connection} user={policy} "
            f"sslmode=verify-full sslrootcert={self.certificates.authority}"
        )

    @property
    def api_settings(self) -> dict[str, str]:
        """The environment in which pgjit's own commands find the API."""
        return {
            "PGJIT_API": f"https://localhost:{self.app.api_port}",
            "PGJIT_API_CA": str(self.certificates.authority),
        }

    def people_token(self, person: RegisteredPrincipal) -> str:
        """A token with which `person` calls the API."""
        return self.emulator.issue(person, aud=self.emulator.people_audience)

    async def token(self, credentials: AppCredentials) -> str:
        """Get a token for `credentials` as an agent does: by the client credentials grant, over HTTP."""
        async with client_for(self.emulator.url) as client:
            response = await client.post(
                f"{self.emulator.url}/{self.emulator.tenant}/oauth2/v2.0/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": credentials.client_id,
                    "client_secret": credentials.client_secret,
                    "scope": f"{self.emulator.audience}/.default",
                },
                timeout=_SECONDS,
            )
        response.raise_for_status()
        return str(response.json()["access_token"])
