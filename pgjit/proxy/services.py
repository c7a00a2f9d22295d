"""The services that all sessions share. `app` builds this value once.

Chooses the judge of a session: the current version of its policy with the latest catalog.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from pgjit.audit.journal import Journal
from pgjit.clock import Clock
from pgjit.errors import CatalogBeingRead, ServerUnavailable
from pgjit.grants.holder import HolderKey
from pgjit.grants.requests import Requests
from pgjit.identity.authentication_method import AuthenticationMethod
from pgjit.identity.identity import IdentityKey
from pgjit.identity.provider import Provider
from pgjit.judging.judge import STATEMENT_BYTES, Judge, Judgement
from pgjit.judging.judge_workers import JudgeWorkers
from pgjit.judging.worker_process import Worker
from pgjit.policy.load import Policies
from pgjit.policy.policy import Policy, Preset
from pgjit.proxy.cancel_routing import CancelRouter
from pgjit.proxy.door.refused_logins import RefusedLogins
from pgjit.proxy.door.waiting_logins import WaitingLogins
from pgjit.proxy.membership import Memberships
from pgjit.proxy.quota import Quota
from pgjit.proxy.rate_limit import RateLimit
from pgjit.proxy.registry import Registry
from pgjit.proxy.siblings import Siblings
from pgjit.proxy.window.kept_backends import KeptBackends
from pgjit.proxy.window.windows import Windows
from pgjit.server.catalog_cache import CatalogCache
from pgjit.server.servers import Servers
from pgjit.server.target import Target
from pgjit.telemetry import Telemetry

__all__ = ["WORKER", "ProxyLimits", "Services"]

WORKER = 0
"""The number of this process on its node: a node has one process."""

_JOURNAL_BURST = 30.0
"""The burst of `journal_bytes_per_second`, in seconds' worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyLimits:
    """The limits and time limits of one proxy: `limits` of its configuration."""

    connections: int = 500  # clients at once, logged in or not
    connections_per_address: int = 100  # of one IPv4 address, or one /64 of IPv6
    sessions_per_identity: int = 20  # under all its policies together
    handshake_seconds: float = 30.0  # from connecting to a session, TLS and the identity provider included
    server_login_seconds: float = 20.0  # over all hosts of a connection
    catalog_seconds: float = 10.0  # that a login waits for a catalog to be read
    statement_bytes: int = STATEMENT_BYTES
    judging_seconds: float = 30.0  # for the statements of one message
    message_bytes: int = 16 * 1024 * 1024
    token_bytes: int = 16 * 1024
    journal_bytes_per_second: int = 8 * 1024 * 1024  # that one identity may cause, on average

    @property
    def judging(self) -> tuple[int, float]:
        """Bytes of the largest text that is judged, and the seconds that it may take."""
        return self.statement_bytes, self.judging_seconds


@dataclass(slots=True, kw_only=True)
class Services:
    provider: Provider
    policies: Policies
    targets: Mapping[str, Target]
    servers: Mapping[str, Servers]
    windows: Windows
    requests: Requests
    registry: Registry
    journal: Journal
    flush_before_forward: bool  # `journal.durability: synced`
    clock: Clock
    limits: ProxyLimits
    new_worker: Callable[[], Worker]  # judges statements that take too long for the event loop
    telemetry: Telemetry
    authentication: Mapping[str, AuthenticationMethod] = field(
        default_factory=dict
    )  # by connection; the default is a password
    memberships: Memberships = field(default_factory=Memberships)
    kept_backends: KeptBackends | None = None
    node: str = ""  # the name of this node
    worker: int = WORKER  # the number of this process on its node
    siblings: Siblings | None = None  # the other workers of this node, if there are any
    refused_logins: RefusedLogins = field(init=False)
    identity_quota: Quota[HolderKey] = field(init=False)
    policy_quota: Quota[tuple[HolderKey, str]] = field(default_factory=Quota)  # a holder, a policy
    waiting_logins: WaitingLogins = field(init=False)
    cancels: CancelRouter = field(init=False)
    catalogs: Mapping[str, CatalogCache] = field(default_factory=dict)  # by connection
    judge_workers: JudgeWorkers = field(init=False)
    journal_rate: RateLimit[IdentityKey] = field(init=False)
    _counting: set[asyncio.Task[None]] = field(default_factory=set)
    _judges: dict[tuple[str, str], Judge] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.refused_logins = RefusedLogins(self.journal, self.clock, self.telemetry)
        self.cancels = CancelRouter(self.registry, self.clock, self.telemetry, self.node, self.worker)
        if self.siblings is not None:
            self.cancels.siblings = self.siblings.cancel
        self.identity_quota = Quota(self.limits.sessions_per_identity)
        self.waiting_logins = WaitingLogins(self.limits.connections, self.limits.connections_per_address)
        self.journal_rate = RateLimit(self.limits.journal_bytes_per_second, _JOURNAL_BURST)
        self.judge_workers = JudgeWorkers(self.new_worker, self.limits.statement_bytes, self.limits.judging_seconds)

    @property
    def databases(self) -> dict[str, str]:
        """The database behind each connection."""
        return {name: target.database for name, target in self.targets.items()}

    def release_place(self, holder: HolderKey, policy: str) -> None:
        """Give back the places of a session that is over."""
        self.identity_quota.give_back(holder)
        if self.siblings is not None:
            self.siblings.leave_place(holder)
        self.policy_quota.give_back((holder, policy))
        limited = self.policies.get(policy)
        if limited is not None and limited.limits.sessions is not None:
            counting = asyncio.create_task(
                self.windows.count_sessions(holder, limited, lambda: self.policy_quota[holder, policy])
            )
            self._counting.add(counting)
            counting.add_done_callback(self._counting.discard)

    def set_limits(self, limits: ProxyLimits) -> None:
        """The limits from now on. What is open above a lower one stays."""
        if limits == self.limits:
            return
        self.limits = limits
        self.identity_quota.most = limits.sessions_per_identity
        self.waiting_logins.change(limits.connections, limits.connections_per_address)
        self.journal_rate.change(limits.journal_bytes_per_second)
        self.judge_workers.change(limits.statement_bytes, limits.judging_seconds)

    def forget_judges(self, policies: Container[str]) -> None:
        """These policies have changed. A version that comes back later gets a new judge, with a higher number."""
        self._judges = {key: judge for key, judge in self._judges.items() if key[0] not in policies}

    def judge(self, policy: Policy) -> Judge:
        """The judge of this policy version with the latest catalog. Its cache is shared by all sessions."""
        catalogs = self.catalogs.get(policy.connection)
        catalog = None if catalogs is None else catalogs.latest
        key = (policy.name, policy.version)
        judge = self._judges.get(key)
        if judge is None or judge.catalog is not catalog or judge.limit != self.limits.statement_bytes:
            judge = self._judges[key] = Judge(policy, limit=self.limits.statement_bytes, catalog=catalog)
        return judge

    async def require_catalog(self, policy: Policy) -> None:
        """Wait until the catalog of the policy's connection is cached, so that names can be resolved.

        Raises CatalogBeingRead. Raises ServerUnavailable if the catalog cannot be read and the policy needs it.
        """
        catalogs = self.catalogs.get(policy.connection)
        if catalogs is None or policy.statements.access is Preset.FULL:
            return
        try:
            await catalogs.get(self.limits.catalog_seconds)
        except CatalogBeingRead:
            raise
        except ServerUnavailable:
            if policy.statements.needs_names:
                raise

    async def refresh_catalog(self, policy: Policy, *, soon: bool = False) -> None:
        """Refresh the catalog.

        If that fails, the cached one stays in use. `soon`: this session may have changed it.
        """
        catalogs = self.catalogs.get(policy.connection)
        if catalogs is None:
            return
        with suppress(ServerUnavailable):
            await catalogs.refresh_after_now(soon=soon)

    async def judge_in_worker(self, identity: IdentityKey, judge: Judge, sql: bytes) -> Judgement:
        """Judge in a worker process, queued by identity, and cache the judgement.

        `judge` is that of the moment when the text was found to take long: its number tells whether the policy has
        changed since.
        """
        began = time.perf_counter_ns()
        judgement = judge.cache(sql, await self.judge_workers.assess(identity, judge.policy, sql, judge.catalog))
        self.telemetry.judged_in_worker.record((time.perf_counter_ns() - began) // 1000)
        return judgement
