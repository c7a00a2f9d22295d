"""The console in this process, without a socket, and people who visit it with a browser's cookies.

The identity provider is a stand-in: `FakeLogin` gives each person the token of `tests/api/people.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import httpx

from pgjit.api.console_section import ConsoleSection
from pgjit.api.http_api import http_api, new_endpoints
from pgjit.clock import Clock
from pgjit.console.console_http import Console, console_http
from pgjit.console.cookie_secret import CookieSecret, base64url
from pgjit.console.page_entry import PageEntry
from pgjit.console.pages import PAGES
from pgjit.console.provider_login import ProviderTokens, TokensRefused
from pgjit.console.refusals import SignInRefused
from pgjit.errors import ServerUnavailable
from pgjit.grants.requests import Requests
from pgjit.grants.sign_in import KeptSignIn
from pgjit.grants.store import Store
from pgjit.identity.identity import Identity
from tests.api.memory_store import MemoryEnding, MemoryStore
from tests.api.people import People

__all__ = ["ORIGIN", "FakeLogin", "MemorySignIns", "Visitor", "Visits"]

ORIGIN = "https://console.test"


class MemorySignIns(MemoryStore):
    """A store with sign-ins, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.sign_ins: dict[str, KeptSignIn] = {}
        self.renewing: dict[str, datetime] = {}
        self.down: Exception | None = None  # what every call raises

    async def keep_sign_in(self, sign_in: KeptSignIn, *, at_most: int) -> None:
        self._check()
        self.sign_ins[sign_in.id] = sign_in

    async def sign_in(self, sign_in_id: str) -> KeptSignIn | None:
        self._check()
        return self.sign_ins.get(sign_in_id)

    async def note_sign_in_use(self, sign_in_id: str, at: datetime) -> None:
        self._change(sign_in_id, seen_at=at)

    async def claim_sign_in_renewal(self, sign_in_id: str, now: datetime, until: datetime) -> bool:
        if self.renewing.get(sign_in_id, now) > now:
            return False
        self.renewing[sign_in_id] = until
        return True

    async def replace_sign_in_tokens(self, sign_in_id: str, sealed: str) -> None:
        self.renewing.pop(sign_in_id, None)
        self._change(sign_in_id, sealed=sealed)

    async def end_sign_in(self, sign_in_id: str) -> bool:
        self._check()
        return self.sign_ins.pop(sign_in_id, None) is not None

    def _change(self, sign_in_id: str, **values: Any) -> None:
        self._check()
        if sign_in_id in self.sign_ins:
            self.sign_ins[sign_in_id] = replace(self.sign_ins[sign_in_id], **values)

    def _check(self) -> None:
        if self.down is not None:
            raise self.down


class FakeLogin:
    """A provider at which `person` signs in. Renewed tokens are those of `renewed`."""

    def __init__(self, people: Mapping[str, Identity]) -> None:
        """`people`: by their tokens."""
        self._people = people
        self.person = "nobody"
        self.asked: list[tuple[bool, tuple[str, ...]]] = []  # whether anew, and the contexts
        self.renewed: str | None = None
        self.renewals = 0
        self.id_claims: dict[str, str] | None = None  # None: those of the person
        self.away = False

    async def address(self, secret: CookieSecret, *, again: bool = False, contexts: tuple[str, ...] = ()) -> str:
        self.asked.append((again, contexts))
        return f"https://provider.test/authorize?state={base64url(secret.derived('oauth state'))}"

    async def redeem(self, secret: CookieSecret, answer: Mapping[str, str]) -> ProviderTokens:
        if answer.get("state") != base64url(secret.derived("oauth state")):
            raise SignInRefused("The answer does not belong to this browser.", hint="Start again.")
        identity = self._people.get(self.person)
        own = {} if identity is None else {"sub": identity.key.oid}
        claims = own if self.id_claims is None else self.id_claims
        return ProviderTokens(self.person, f"refresh of {self.person}", claims)

    async def renew(self, refresh: str) -> ProviderTokens:
        self.renewals += 1
        if self.away:
            raise ServerUnavailable("identity provider cannot be used now", reference="provider-unavailable")
        await asyncio.sleep(0)
        if self.renewed is None:
            raise TokensRefused
        return ProviderTokens(self.renewed, refresh)


class _Until:
    """As much of a clock as `Requests` calls here."""

    def __init__(self, people: People) -> None:
        self._people = people

    def __call__(self) -> datetime:
        return self._people.now


class Visits(People):
    """`async with Visits(tmp_path) as visits:`, then `ana = await visits.of("reviewer")` and `await ana.get("/")`."""

    def __init__(
        self,
        folder: Path,
        *,
        entries: Sequence[PageEntry] = PAGES,
        console: Mapping[str, Any] | None = None,
        **api: Any,
    ) -> None:
        super().__init__(folder, **api)
        self.sign_ins = MemorySignIns()
        self.store = self.sign_ins
        self.ending = MemoryEnding(self.sign_ins, lambda: self.now)
        self.login = FakeLogin(self.provider.people)
        self._entries = entries
        self._console = ConsoleSection(url=ORIGIN, client_id="console", **(console or {}))
        requests = Requests(cast(Store, self.sign_ins), cast(Clock, _Until(self)), self.policies.get)
        self.use(store=cast(Store, self.sign_ins), requests=requests, revocations=self.ending)

    @property
    def console(self) -> Console:
        """A new one on the same store and journal: another worker."""
        endpoints = new_endpoints("0.0.0")
        gate = http_api(self._section, self.services, self.refused, endpoints)
        return console_http(
            self._console, gate, endpoints, self.login, provider_name="a provider", entries=self._entries
        )

    def browser(self, console: Console | None = None) -> Visitor:
        """A browser in which nobody is signed in."""
        transport = httpx.ASGITransport(console or self.console, client=("10.0.0.9", 40000))
        return Visitor(httpx.AsyncClient(transport=transport, base_url=ORIGIN), self)

    async def of(self, person: str) -> Visitor:
        """A browser in which `person` is signed in."""
        visitor = self.browser()
        response = await visitor.sign_in(person)
        assert response.status_code == 303, response.text
        return visitor


@dataclass
class Visitor:
    client: httpx.AsyncClient
    visits: Visits

    async def sign_in(self, person: str, to: str = "") -> httpx.Response:
        """The response to the provider's answer."""
        self.visits.login.person = person
        started = await self.client.get("/sign-in/start", params={"to": to})
        assert started.status_code == 303, started.text
        query = dict(parse_qsl(urlsplit(started.headers["location"]).query))
        return await self.client.get("/signed-in", params={"state": query["state"], "code": "a code"})

    async def get(self, path: str, **options: Any) -> httpx.Response:
        headers = {"sec-fetch-site": "none", "sec-fetch-dest": "document", **options.pop("headers", {})}
        return await self.client.get(path, headers=headers, **options)

    async def post(self, path: str, form: Mapping[str, str] | None = None, **options: Any) -> httpx.Response:
        """Send it as a form of this console does, with its CSRF token unless `form` has one."""
        fields = {"csrf": await self.csrf(), **(form or {})} if form is None or "csrf" not in form else dict(form)
        headers = {"sec-fetch-site": "same-origin", "origin": ORIGIN, **options.pop("headers", {})}
        return await self.client.post(path, data=fields, headers=headers, **options)

    async def csrf(self) -> str:
        """The token in the form that every page has; empty for who is not signed in."""
        secret = CookieSecret.read(self.client.cookies.get("__Host-pgjit"))
        return "" if secret is None else secret.csrf
