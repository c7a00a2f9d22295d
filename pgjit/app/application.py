"""The application: makes its parts from the configuration, wires them, and starts and stops them in order."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Self

from pgjit.api.event_feed import EventFeed
from pgjit.api.section import identity_for_api
from pgjit.api.services import ApiServices
from pgjit.app.checkpoints import open_checkpoints
from pgjit.app.connections import Connections
from pgjit.app.from_config import (
    balancers_of,
    fleet_node_of,
    limits_of,
    memberships_from,
    new_notifier,
    new_store,
    opened_journal,
    provider_of,
    server_tls,
)
from pgjit.app.http_ports import NodeReadiness, open_admin_port, open_api
from pgjit.app.inherited_sockets import InheritedSockets
from pgjit.app.journal_questions import journal_answers, journal_proofs
from pgjit.app.otlp_export import exported_index, exporting
from pgjit.app.readiness import WatchedParts
from pgjit.app.reload import Reload
from pgjit.app.service_stop import note_stop
from pgjit.app.session_port import PortEnd, open_session_port
from pgjit.app.store_changes import following_changes
from pgjit.app.watched_metrics import watch, watch_notifications, watch_reloads
from pgjit.app.worker_place import WorkerPlace
from pgjit.audit.event import ServiceStarted
from pgjit.audit.journal import Journal
from pgjit.audit.keeping import Upkeep
from pgjit.audit.telemetry.export_process import ExportProcess
from pgjit.clock import Clock
from pgjit.config import Config
from pgjit.grants.requests import Requests
from pgjit.grants.store import Store
from pgjit.grants.ties import Ties
from pgjit.identity.graph import GraphDirectory, graph_from_section
from pgjit.identity.provider import Provider
from pgjit.judging.explainer import Explainer
from pgjit.judging.worker_process import WorkerProcess
from pgjit.parts import Parts
from pgjit.proxy.listener import Listener
from pgjit.proxy.membership import Memberships
from pgjit.proxy.registry import Registry
from pgjit.proxy.services import Services
from pgjit.proxy.window.fleet_node import FleetNode
from pgjit.proxy.window.kept_backends import KeptBackends
from pgjit.proxy.window.node_work import NodeWork
from pgjit.proxy.window.reconciliation import reconcile
from pgjit.proxy.window.revocations import Revocations
from pgjit.proxy.window.windows import Windows
from pgjit.telemetry import Telemetry

__all__ = ["VERSION", "App"]

VERSION = version("pgjit")
_log = logging.getLogger("pgjit.app")


class App:
    """`async with App(config) as app:` serves until the block is left; leaving it drains."""

    _tls: ssl.SSLContext
    _provider: Provider
    _store: Store
    _node: FleetNode
    _journal: Journal
    _upkeep: Upkeep
    telemetry: Telemetry
    _export: ExportProcess | None
    _kept_backends: KeptBackends
    _windows: Windows
    _revocations: Revocations
    _directory: GraphDirectory | None
    _ties: Ties
    _memberships: Memberships
    _connections: Connections
    _services: Services
    reloading: Reload
    _listener: Listener

    def __init__(
        self,
        config: Config,
        *,
        warm: bool = False,
        inherited: InheritedSockets | None = None,
        place: WorkerPlace | None = None,
    ) -> None:
        """`warm`: the processes that judge are there before the first client, not when one first needs them.

        `inherited`: sockets that are used instead of those that the configuration names. `place`: of a worker.
        """
        self._config = config
        self._inherited = inherited or InheritedSockets()
        self._place = place
        self.port_end = PortEnd()
        self.stop_at_once = asyncio.Event()  # sessions are not waited for any more
        self._warm = warm
        self._clock = Clock()
        self._readiness = NodeReadiness()
        self.registry = Registry()
        # The order is that of their start: each needs those before it. They are stopped in the reverse order.
        self._parts = Parts(
            {
                "telemetry": self._run_telemetry,
                "store": self._run_store,
                "journal": self._run_journal,
                "kept backends": self._run_kept_backends,
                "windows": self._run_windows,
                "revocations": self._run_revocations,
                "identity provider": self._run_provider,
                "memberships": self._run_memberships,
                "servers": self._run_servers,
                "ends of kept backends": self._run_ends_of_kept_backends,
                "catalogs": self._run_catalogs,
                "judge workers": self._run_judge_workers,
                "changes of the store": self._run_changes,
                "notifications": self._run_notifications,
                # Works during the drain, too: a policy may be deleted while sessions have their last seconds.
                "reload": self._run_reload,
                # Stopped after the listener too: people see what is ending.
                "HTTP API": self._run_api,
                # Stopped after the listener: during the drain, probes read from it that pgjit is alive, not ready.
                "admin port": self._run_admin_port,
                "listener": self._run_listener,
            }
        )
        self.port = 0
        self.admin_port = 0
        self.api_port = 0

    async def __aenter__(self) -> Self:
        """Raises InvalidFile, ServerUnavailable, JournalUnavailable or OSError; what was started is stopped."""
        config = self._config
        self._tls = server_tls(config, config.file.tls)
        self._provider = provider_of(config, config.file.identity)
        await self._parts.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._parts.stop()

    # --- what is kept ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _run_store(self) -> AsyncIterator[None]:
        self._store = new_store(self._config)
        await self._store.open()
        try:
            self._node = fleet_node_of(self._config, self._store, self._clock, self._place)
            async with self._node.alive():
                if floor := await self._store.clock_floor():
                    self._clock.not_before(floor)
                yield
        finally:
            await self._store.close()

    @asynccontextmanager
    async def _run_journal(self) -> AsyncIterator[None]:
        config, clock, section = self._config, self._clock, self._config.file.journal
        self._journal = opened_journal(config)
        try:
            if (last := self._journal.last_at) is not None:
                clock.not_before(last)
            async with open_checkpoints(config, self._journal, clock, self.telemetry.metrics):
                await reconcile(self._store, self._journal, config.policies, clock())
                policies = tuple((policy.name, policy.version) for policy in config.policies.values())
                started = ServiceStarted(at=clock(), version=VERSION, config_hash=config.sha256, policies=policies)
                self._journal.append([started])
                self._upkeep = Upkeep(self._journal, clock, section.keeping, exported_index(self._export))
                try:
                    async with self._upkeep.running():
                        yield
                finally:
                    note_stop(self._journal, clock)
        finally:
            await self._journal.close()

    @asynccontextmanager
    async def _run_telemetry(self) -> AsyncIterator[None]:
        policies = self._config.policies
        self.telemetry = Telemetry(version=VERSION, policies=policies)
        _log.info("pgjit %s starts as node %s", VERSION, self._config.node)
        for each in policies.values():
            _log.info("policy %s is loaded in version %s", each.name, each.version, extra={"policy": each.name})
        folder = self._config.journal_folder
        async with exporting(self._config, folder, VERSION, self.telemetry) as self._export:
            yield
        _log.info("pgjit has stopped")

    # --- windows ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _run_kept_backends(self) -> AsyncIterator[None]:
        self._kept_backends = KeptBackends(self._store, self._journal, self._clock, self.telemetry)
        try:
            await self._kept_backends.load()
            yield
        finally:
            await self._kept_backends.close()

    @asynccontextmanager
    async def _run_windows(self) -> AsyncIterator[None]:
        kept = self._kept_backends
        self._windows = Windows(
            self._store, self._journal, self.registry, self._clock, kept, self.telemetry, self._node
        )
        try:
            await self._windows.resume(self._config.policies)
            yield
        finally:
            await self._windows.close()

    @asynccontextmanager
    async def _run_revocations(self) -> AsyncIterator[None]:
        self._revocations = Revocations(self._store, self._windows, self.registry, self._clock)
        work = NodeWork(self._windows, self._kept_backends, self.registry, self._journal, self._clock)
        self._node.work_with(work)
        async with self._revocations.enforced():
            yield

    # --- identities ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _run_provider(self) -> AsyncIterator[None]:
        await self._provider.start()
        try:
            yield
        finally:
            await self._provider.close()

    @asynccontextmanager
    async def _run_memberships(self) -> AsyncIterator[None]:
        directory = self._directory = graph_from_section(self._config.file.identity, self._config.folder)
        self._ties = Ties(directory, self._clock)
        if directory is None:
            self._memberships = Memberships()
            yield
            return
        try:
            self._memberships = await memberships_from(self._config, directory, self._clock, self._store)
            self._memberships.start()
            try:
                yield
            finally:
                await self._memberships.close()
        finally:
            await directory.close()

    # --- servers ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _run_servers(self) -> AsyncIterator[None]:
        self._connections = Connections(self._config.targets)
        try:
            yield
        finally:
            await self._connections.close()

    @asynccontextmanager
    async def _run_ends_of_kept_backends(self) -> AsyncIterator[None]:
        self._kept_backends.end_orphans(self._connections.servers)
        try:
            yield
        finally:
            await self._kept_backends.stop_ending()

    @asynccontextmanager
    async def _run_catalogs(self) -> AsyncIterator[None]:
        self._connections.open_catalogs()
        try:
            yield
        finally:
            await self._connections.close_catalogs()

    # --- sessions --------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _run_judge_workers(self) -> AsyncIterator[None]:
        self._services = self._filled_services()
        watch(self._services, self._connections.catalogs, self._upkeep, self._export)
        workers = self._services.judge_workers
        try:
            if self._warm:
                await workers.start()
            yield
        finally:
            await workers.close()

    @asynccontextmanager
    async def _run_changes(self) -> AsyncIterator[None]:
        async with following_changes(self._store, self._revocations, self._services):
            yield

    def _filled_services(self) -> Services:
        config = self._config
        return Services(
            provider=self._provider,
            policies=config.policies,
            targets=self._connections.targets,
            servers=self._connections.servers,
            windows=self._windows,
            requests=Requests(self._store, self._clock, config.policies.get, self._ties),
            kept_backends=self._kept_backends,
            registry=self.registry,
            journal=self._journal,
            flush_before_forward=config.file.journal.durability == "synced",
            node=config.node,
            clock=self._clock,
            limits=limits_of(config),
            siblings=None if self._place is None else self._place.siblings,
            new_worker=WorkerProcess,
            catalogs=self._connections.catalogs,
            telemetry=self.telemetry,
            authentication=config.authentication,
            memberships=self._memberships,
        )

    @asynccontextmanager
    async def _run_reload(self) -> AsyncIterator[None]:
        self.reloading = Reload(self._config, self._services, self._connections, self._node)
        watch_reloads(self.telemetry.metrics, self.reloading)
        async with self.reloading.running():
            yield

    # --- people ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _run_notifications(self) -> AsyncIterator[None]:
        requests = self._services.requests
        notifier = new_notifier(self._config, self._store, self._clock, requests, self._directory, self._ties)
        watch_notifications(self.telemetry.metrics, notifier)
        async with notifier.running():
            yield

    @asynccontextmanager
    async def _run_api(self) -> AsyncIterator[None]:
        config, section = self._config, self._config.file.api
        if section is None:
            yield
            return
        provider = provider_of(config, identity_for_api(config.file.identity, section.audience))
        services, refused = self._api_services(provider), self._services.refused_logins
        async with open_api(config, section, services, refused, self._inherited.api) as server:
            self.api_port = server.port
            self.reloading.on_api_tls.append(server.serve_with)
            yield

    def _api_services(self, provider: Provider) -> ApiServices:
        node, policies, clock = self._config.node, self._config.policies, self._clock
        return ApiServices(
            provider=provider, directory=self._directory, policies=policies, registry=self.registry,
            store=self._store, requests=self._services.requests, ties=self._ties, journal=self._journal,
            feed=EventFeed(node, self._journal.seq), clock=clock, node=node, version=VERSION,
            revocations=self._revocations, audit=journal_answers(self._config),
            proofs=journal_proofs(self._config, clock),
            catalogs=self._connections.latest_catalog, reload=self.reloading, roles=self.reloading.api_roles,
            explainer=Explainer(lambda: self._services.limits.judging), readiness=self._readiness.report,
        )  # fmt: skip

    @asynccontextmanager
    async def _run_admin_port(self) -> AsyncIterator[None]:
        self._listener = self.reloading.reach(Listener(self._services, self._tls, balancers_of(self._config)))
        parts = WatchedParts(
            listener=self._listener, node=self._node, store=self._store, journal=self._journal, upkeep=self._upkeep,
            provider=self._provider, memberships=self._memberships, kept_backends=self._kept_backends,
            servers=self._connections.servers, catalogs=self._connections.catalogs,
        )  # fmt: skip
        place, inherited = self._config.file.admin, self._inherited.admin
        async with open_admin_port(
            place, parts, self._clock, self.telemetry, self._readiness, inherited
        ) as self.admin_port:
            yield

    @asynccontextmanager
    async def _run_listener(self) -> AsyncIterator[None]:
        sockets, end, at_once = self._inherited.listen, self.port_end, self.stop_at_once
        async with open_session_port(
            self._listener, lambda: self.reloading.config, sockets, end, at_once
        ) as self.port:
            yield
