"""What every session shares: the value that app.py fills once and hands to the listener."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

from pgjit.audit.journal import Journal
from pgjit.clock import Clock
from pgjit.identity.identity import IdentityKey
from pgjit.identity.provider import Provider
from pgjit.policy.load import Policies
from pgjit.policy.policy import Policy
from pgjit.proxy.client_auth import Authentication
from pgjit.proxy.crowd import Quota
from pgjit.proxy.judge import Judge, Judgement, assess
from pgjit.proxy.refusals import Refusals
from pgjit.proxy.registry import Registry
from pgjit.proxy.servers import Servers
from pgjit.proxy.target import Target
from pgjit.proxy.windows import Windows
from pgjit.telemetry import Telemetry

__all__ = ["Limits", "Services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    connections: int = 500  # clients at once, logged in or not
    connections_per_address: int = 100  # of one IPv4 address, or one /64 of IPv6
    sessions_per_identity: int = 20  # under all its policies together
    handshake_seconds: float = 30.0  # from connecting to a session, TLS and the identity provider included
    server_login_seconds: float = 20.0  # over all hosts of a connection
    statement_bytes: int = 256 * 1024
    message_bytes: int = 16 * 1024 * 1024
    token_bytes: int = 16 * 1024


@dataclass(slots=True, kw_only=True)
class Services:
    provider: Provider
    policies: Policies
    targets: Mapping[str, Target]
    servers: Mapping[str, Servers]
    windows: Windows
    registry: Registry
    journal: Journal
    flush_before_forward: bool  # `journal.sync: always`
    clock: Clock
    limits: Limits
    workers: Executor  # processes that judge large statements
    new_workers: Callable[[], Executor]
    telemetry: Telemetry
    authentication: Mapping[str, Authentication] = field(default_factory=dict)  # by connection; else a password
    refusals: Refusals = field(init=False)
    sessions_of: Quota[IdentityKey] = field(init=False)
    _judges: dict[tuple[str, str], Judge] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.refusals = Refusals(self.journal, self.clock, self.telemetry)
        self.sessions_of = Quota(self.limits.sessions_per_identity)

    def judge(self, policy: Policy) -> Judge:
        """The judge of this version of the policy, with its memory shared by all sessions under it."""
        key = (policy.name, policy.version)
        if key not in self._judges:
            self._judges[key] = Judge(policy, limit=self.limits.statement_bytes)
        return self._judges[key]

    async def judge_large(self, policy: Policy, sql: bytes) -> Judgement:
        """`assess` in another process, so that one client's long statement does not stall the others."""
        loop = asyncio.get_running_loop()
        workers = self.workers
        try:
            return await loop.run_in_executor(workers, assess, policy, sql, self.limits.statement_bytes)
        except BrokenProcessPool:
            # The process died of this statement, or was killed: the next one gets a new process.
            if self.workers is workers:
                self.workers = self.new_workers()
            raise
