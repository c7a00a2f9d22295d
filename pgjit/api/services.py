"""The parts of the proxy that the endpoints use, and how an endpoint gets them.

Decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request

from pgjit.api.audit_answers import AuditAnswers
from pgjit.api.caller_groups import CallerGroups
from pgjit.api.calls import ApiCall
from pgjit.api.event_feed import EventFeed
from pgjit.api.journal_proofs import JournalProofs
from pgjit.api.live_sessions import LiveSessions
from pgjit.api.readiness import ReadinessReport
from pgjit.api.refusals import CallRefused
from pgjit.api.relation_lists import RelationLists
from pgjit.api.reload_result import ReloadService
from pgjit.api.section import HttpRolesSection
from pgjit.audit.journal import Journal
from pgjit.grants.actor import Actor
from pgjit.grants.lock import Lock
from pgjit.grants.requests import Requests
from pgjit.grants.scope import Scope
from pgjit.grants.store import Store
from pgjit.grants.ties import Ties
from pgjit.grants.window import Window
from pgjit.identity.directory import Directory
from pgjit.identity.provider import Provider
from pgjit.judging.explainer import Explainer
from pgjit.policy.load import Policies
from pgjit.proxy.registry import Registry
from pgjit.sql.catalog import Catalog

__all__ = ["ApiServices", "EndingService", "TheCall", "TheGroups", "TheServices"]


class EndingService(Protocol):
    """Ends what is open, on every node: `Revocations` of `proxy/window`."""

    async def revoke(self, scope: Scope, reason: str, by: Actor) -> list[Window]: ...

    async def kill(self, session_id: str, reason: str, by: Actor) -> bool:
        """False if no node has the session."""

    async def lock(self, scope: Scope, reason: str, by: Actor, until: datetime | None = None) -> Lock: ...

    async def unlock(self, lock_id: str, reason: str, by: Actor) -> Lock | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    provider: Provider
    directory: Directory | None
    policies: Policies
    registry: Registry
    store: Store
    requests: Requests
    ties: Ties
    journal: Journal
    feed: EventFeed
    clock: Callable[[], datetime]
    node: str
    version: str
    revocations: EndingService | None = None
    audit: AuditAnswers | None = None  # None: this node has no folder of a journal
    proofs: JournalProofs | None = None  # as above
    catalogs: Callable[[str], Catalog | None] = lambda _connection: None  # as last read; None: not read yet
    reload: ReloadService | None = None
    roles: Callable[[], HttpRolesSection] | None = None  # those of now; None: as they were at the start
    relation_lists: RelationLists = field(default_factory=RelationLists)
    explainer: Explainer | None = None
    readiness: Callable[[], ReadinessReport | None] = lambda: None  # None: the node is starting
    live: LiveSessions = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "live", LiveSessions(self.registry, self.node, time.monotonic))

    @property
    def ending(self) -> EndingService:
        """Raises CallRefused where nothing can be ended."""
        if self.revocations is None:
            raise CallRefused("this node cannot revoke", reference="revocation-unavailable", status=503)
        return self.revocations

    @property
    def answers(self) -> AuditAnswers:
        """Raises CallRefused where there is no journal to read."""
        if self.audit is None:
            raise CallRefused("this node cannot read its journal", reference="audit-unavailable", status=503)
        return self.audit


def _call(request: Request) -> ApiCall:
    return ApiCall(request, request.app.state.calls)


def _services(request: Request) -> ApiServices:
    return cast(ApiServices, request.app.state.services)


def _groups(request: Request) -> CallerGroups:
    return cast(CallerGroups, request.app.state.groups)


TheCall = Annotated[ApiCall, Depends(_call)]
TheServices = Annotated[ApiServices, Depends(_services)]
TheGroups = Annotated[CallerGroups, Depends(_groups)]
