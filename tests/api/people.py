"""The HTTP API in this process, without a socket, and people of every kind who call it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, cast

import httpx
from fastapi import FastAPI

from pgjit.api.event_feed import EventFeed
from pgjit.api.http_api import PREFIX, http_api, new_endpoints
from pgjit.api.readiness import ReadinessBoard
from pgjit.api.reload_result import ReloadResult, ReloadStanding
from pgjit.api.section import HttpApiSection, HttpRolesSection
from pgjit.api.services import ApiServices
from pgjit.audit.journal import Journal
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import Clock
from pgjit.errors import JournalUnavailable, TokenRefused
from pgjit.grants.actor import Actor
from pgjit.grants.requests import Requests
from pgjit.grants.store import Store
from pgjit.grants.ties import Ties
from pgjit.identity.directory import Directory, DirectoryAnswer, Principal, PrincipalState
from pgjit.identity.identity import GroupId, Identity, IdentityKey, IdentityKind
from pgjit.identity.provider import Discovery
from pgjit.judging.explainer import Explainer
from pgjit.policy.grant_terms import GrantTerms, ReviewTerms
from pgjit.policy.load import Policies
from pgjit.policy.policy import Grant
from pgjit.proxy.door.connection_limits import ClientAddress
from pgjit.proxy.registry import Registry
from pgjit.telemetry.dependency import ExternalDependency
from tests.api.memory_store import MemoryEnding, MemoryStore
from tests.fakes.audit_answers import KeptQuestions
from tests.fakes.explaining import InlineExplaining
from tests.fakes.journal_proofs import KeptProofs
from tests.fakes.policies import policy
from tests.run.journal_text import journal_lines

__all__ = ["ADMINS", "AUDITORS", "MEMBERS", "NOW", "OTHERS", "PEOPLE", "REVIEWERS", "TENANT", "People", "Told", "who"]

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
MEMBERS, OTHERS = GroupId("g-members"), GroupId("g-others")
REVIEWERS, AUDITORS, ADMINS = GroupId("g-reviewers"), GroupId("g-auditors"), GroupId("g-admins")


def who(name: str, *groups: GroupId, kind: IdentityKind = IdentityKind.USER, **changes: Any) -> Identity:
    identity = Identity(
        key=IdentityKey(TENANT, f"oid-{name}"),
        kind=kind,
        app_id="an-app",
        display=name,
        groups=frozenset(groups),
        token_id=f"token-of-{name}",
        issued_at=NOW - timedelta(minutes=5),
        expires_at=NOW + timedelta(hours=1),
    )
    return replace(identity, **changes)


PEOPLE = {
    each.display: each
    for each in (
        who("nobody"),
        who("requester", MEMBERS),
        who("other", OTHERS),
        who("reviewer", REVIEWERS),
        who("reviewer2", REVIEWERS),
        who("member-reviewer", MEMBERS, REVIEWERS),
        who("auditor", AUDITORS),
        who("admin", ADMINS),
        who("app", MEMBERS, REVIEWERS, AUDITORS, ADMINS, kind=IdentityKind.APP),
        who("agent", MEMBERS, REVIEWERS, AUDITORS, ADMINS, kind=IdentityKind.AGENT),
        who("agent-user", MEMBERS, REVIEWERS, AUDITORS, ADMINS, kind=IdentityKind.AGENT_USER),
        who("acted-for", MEMBERS, REVIEWERS, AUDITORS, ADMINS, on_behalf_of="oid-acted-for"),
    )
}


class Told:
    """A provider whose tokens are the names of people."""

    ready = True
    discovery = Discovery("https://login.invalid", "api")
    key_ages: Mapping[str, float] = MappingProxyType({})
    dependencies: tuple[ExternalDependency, ...] = ()

    def __init__(self) -> None:
        self.people = dict(PEOPLE)

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def verify(self, token: str, now: datetime) -> Identity:
        identity = self.people.get(token)
        if identity is None or now >= identity.expires_at:
            raise TokenRefused("expired", "the token has ended")
        return identity


class _Reloading:
    """A reload that finds nothing new."""

    standing = ReloadStanding(in_force_since=NOW)

    async def run(self, trigger: str, by: Actor | None = None) -> ReloadResult:
        return ReloadResult(config_hash="ab" * 32)


class KnownGroups:
    """A directory; `groups` may change at any time."""

    def __init__(self) -> None:
        self.groups: dict[str, frozenset[GroupId]] = {f"oid-{name}": each.groups for name, each in PEOPLE.items()}
        self.states: dict[str, PrincipalState] = {}
        self.queries = 0

    async def look_up(self, principal: Principal, groups: Any, now: datetime) -> DirectoryAnswer:
        self.queries += 1
        state = self.states.get(principal.key.oid, PrincipalState.ENABLED)
        known = self.groups.get(principal.key.oid, frozenset())
        return DirectoryAnswer(at=now, state=state, groups=known & frozenset(groups))

    async def close(self) -> None: ...


@dataclass
class Refusals:
    references: list[str] = field(default_factory=list)

    def note_unauthenticated(
        self, client: ClientAddress, reference: str, sqlstate: str, reason: str, *, identity: object = None
    ) -> None:
        self.references.append(reference)


def policies() -> Policies:
    review = ReviewTerms(groups=(REVIEWERS,))
    return Policies(
        (
            policy("reading", group=MEMBERS),
            policy("others", group=OTHERS),
            replace(policy("reviewed", group=MEMBERS), grant=Grant.REVIEW, terms=GrantTerms(review=review)),
        )
    )


@functools.cache
def _endpoints() -> FastAPI:
    """Made once: each API of the tests takes them over from the one before."""
    return new_endpoints("0.0.0")


class _Until:
    """As much of a clock as `Requests` calls here."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def __call__(self) -> datetime:
        return self._now()


class People:
    """`async with People(tmp_path) as api:`, then `await api.get("whoami", "admin")`."""

    def __init__(
        self,
        folder: Path,
        *,
        directory: Directory | None = None,
        roles: HttpRolesSection | None = None,
        **section: Any,
    ) -> None:
        self.now = NOW
        self.provider = Told()
        self.policies = policies()
        self.refused = Refusals()
        self.registry = Registry()
        self.path = folder / "journal"
        self.journal = Journal.open(SegmentSink(self.path))
        self.feed = EventFeed("n1", self.journal.seq)
        self.journal.on_written.append(self.feed.take)
        self.store = MemoryStore()
        self.ending = MemoryEnding(self.store, lambda: self.now)
        self.audit = KeptQuestions()
        self._explainer = Explainer(lambda: (1 << 20, 30.0), InlineExplaining())
        self.proofs = KeptProofs()
        self.services = self._services(directory)
        groups = roles or HttpRolesSection(auditor=(AUDITORS,), admin=(ADMINS,))
        parsed = HttpApiSection(audience="api", roles=groups, **{"requests_per_minute": 6000, **section})
        self._section = parsed
        self._client = self._new_client()

    def _services(self, directory: Directory | None) -> ApiServices:
        return ApiServices(
            provider=self.provider,
            directory=directory,
            policies=self.policies,
            registry=self.registry,
            store=cast(Store, self.store),
            requests=Requests(cast(Store, self.store), cast(Clock, _Until(lambda: self.now)), self.policies.get),
            ties=Ties(None, lambda: self.now),
            revocations=self.ending,
            reload=_Reloading(),
            journal=self.journal,
            feed=self.feed,
            clock=lambda: self.now,
            node="n1",
            version="0.0.0",
            audit=self.audit,
            explainer=self._explainer,
            readiness=ReadinessBoard(lambda: (), lambda: self.now).asked,
            proofs=self.proofs,
        )

    def _new_client(self) -> httpx.AsyncClient:
        self.application = http_api(self._section, self.services, self.refused, _endpoints())
        transport = httpx.ASGITransport(self.application, client=("10.0.0.9", 40000))
        return httpx.AsyncClient(transport=transport, base_url="https://pgjit")

    def use(self, **changes: Any) -> None:
        """Other services."""
        self.services = replace(self.services, **changes)
        self._client = self._new_client()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.aclose()
        await self._explainer.close()
        await self.journal.close()

    async def call(self, method: str, path: str, person: str | None, **options: Any) -> httpx.Response:
        headers = {**({} if person is None else {"Authorization": f"Bearer {person}"}), **options.pop("headers", {})}
        url = path if path.startswith("/") else f"{PREFIX}/{path}"
        return await self._client.request(method, url, headers=headers, **options)

    async def get(self, path: str, person: str | None, **options: Any) -> httpx.Response:
        return await self.call("GET", path, person, **options)

    async def post(self, path: str, person: str | None, body: object, **options: Any) -> httpx.Response:
        return await self.call("POST", path, person, json=body, **options)

    def calls(self) -> list[tuple[str, str, str, str]]:
        """The recorded calls: who, in which role, method, path."""
        lines = [json.loads(line) for line in journal_lines(self.path)]
        return [
            (line["identity"]["display"], line["role"], line["method"], line["path"].removeprefix(PREFIX))
            for line in lines
            if line["type"] == "api.called" and "status" not in line
        ]

    def refusals(self) -> list[tuple[str, str, int, str]]:
        """The recorded calls that were refused: who, in which role, status, path."""
        lines = [json.loads(line) for line in journal_lines(self.path)]
        return [
            (line["identity"]["display"], line["role"], line["status"], line["path"].removeprefix(PREFIX))
            for line in lines
            if line["type"] == "api.called" and "status" in line
        ]

    def break_journal(self) -> None:
        def refuse(_events: object) -> int:
            raise JournalUnavailable

        self.journal.append = refuse  # type: ignore[method-assign,assignment]
