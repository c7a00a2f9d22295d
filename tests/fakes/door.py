"""The listener with a provider that knows one token, and without a server.

There is no policy: an authenticated client is refused with 28000, which shows a test that its token was accepted.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

from pgjit.audit.journal import Journal
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import Clock
from pgjit.demo.certificates import make_certificates
from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.grants.requests import Requests
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.identity.authentication_method import AuthenticationMethod
from pgjit.identity.identity import Identity
from pgjit.identity.provider import Discovery
from pgjit.policy.load import Policies
from pgjit.proxy.door.balancers import Balancers
from pgjit.proxy.listener import Listener
from pgjit.proxy.registry import Registry
from pgjit.proxy.services import ProxyLimits, Services
from pgjit.proxy.window.windows import Windows
from pgjit.telemetry import Telemetry
from pgjit.telemetry.dependency import ExternalDependency
from tests.fakes.both_ends import CONTEXT
from tests.fakes.scripted_client import trusting
from tests.fakes.thread_worker import ThreadWorker
from tests.run.journal_text import journal_lines
from tests.run.waiting import until

__all__ = ["DISCOVERY", "GOOD", "Door", "OneTokenProvider"]

GOOD = "good.to.ken"
DISCOVERY = Discovery("https://login.test/t/v2.0/.well-known/openid-configuration", "api/.default")


class OneTokenProvider:
    """A provider that accepts `GOOD`.

    `verified` has every token that it received; the token `later` finds no keys.
    """

    def __init__(self) -> None:
        self.verified: list[str] = []
        self.verified_at: list[datetime] = []
        self.ready = True
        self.discovery = DISCOVERY
        self.key_ages: dict[str, float] = {}
        self.dependencies: tuple[ExternalDependency, ...] = ()

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def verify(self, token: str, now: datetime) -> Identity:
        self.verified.append(token)
        self.verified_at.append(now)
        if token == "later":
            raise ServerUnavailable("tokens cannot be checked now", reference="no-keys")
        if token != GOOD:
            raise TokenRefused("unknown", "this is not the one token")
        return CONTEXT.identity


class Door:
    """`async with Door(folder) as door:`"""

    def __init__(
        self,
        folder: Path,
        limits: ProxyLimits | None = None,
        authentication: Mapping[str, AuthenticationMethod] | None = None,
        balancers: Balancers | None = None,
    ) -> None:
        self._folder = folder
        self._limits = limits or ProxyLimits()
        self._authentication = authentication or {}
        self._balancers = balancers
        self.provider = OneTokenProvider()

    async def __aenter__(self) -> Self:
        certificates = make_certificates(self._folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
        self._context = context
        self.trust = trusting(certificates.authority)
        self.authority = certificates.authority
        self._path = self._folder / "journal"
        self.journal = Journal.open(SegmentSink(self._path))
        self._telemetry = Telemetry(version="0")
        registry, clock = Registry(), Clock()
        self.store = SqlStore(SqliteDatabase(self._folder / "windows.sqlite3"))
        self.services = Services(
            provider=self.provider,
            policies=Policies([]),
            targets={},
            servers={},
            windows=Windows(self.store, self.journal, registry, clock),
            requests=Requests(self.store, clock, lambda _: None),
            registry=registry,
            journal=self.journal,
            flush_before_forward=False,
            clock=clock,
            limits=self._limits,
            new_worker=ThreadWorker,
            telemetry=self._telemetry,
            authentication=self._authentication,
        )
        self.listener = Listener(self.services, context, self._balancers)
        await self.listener.open("127.0.0.1", 0)
        self.port = self.listener.ports[0]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.listener.drain(0)
        await self.journal.close()

    @property
    def refused(self) -> list[dict[str, object]]:
        """The records of refused logins."""
        lines = [json.loads(line) for line in journal_lines(self._path)]
        assert all(line["type"] == "login.refused" for line in lines)
        return lines

    @property
    def references(self) -> list[object]:
        return [record["reference"] for record in self.refused]

    async def empty(self) -> None:
        """Return when no connection remains and all places are given back."""
        await until(lambda: not self.listener.connections)
        assert len(self.services.registry) == 0
        assert len(self.services.identity_quota) == 0
