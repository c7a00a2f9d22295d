"""The application: opens the plug-ins that the configuration names, wires them, and closes them in order.

The one place that knows which provider, store and sink there are. Decides the order of start and stop.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version
from typing import Self

from pgjit.api.health import AdminServer, admin_api
from pgjit.audit.event import ServiceStarted, ServiceStopped
from pgjit.audit.journal import Journal
from pgjit.audit.sinks import SINKS
from pgjit.clock import Clock
from pgjit.config import Config
from pgjit.errors import InvalidFile, JournalUnavailable
from pgjit.file_descriptors import descriptors_for, raise_limit, room
from pgjit.grants.store import Store
from pgjit.grants.stores import STORES
from pgjit.identity.graph import graph_from_section
from pgjit.identity.membership_rechecks import RecheckSchedule
from pgjit.identity.provider import Provider
from pgjit.identity.providers import PROVIDERS
from pgjit.judging.worker_process import WorkerProcess
from pgjit.proxy.listener import Listener
from pgjit.proxy.membership import Memberships
from pgjit.proxy.registry import Registry
from pgjit.proxy.services import ProxyLimits, Services
from pgjit.proxy.window.kept_backends import KeptBackends
from pgjit.proxy.window.reconciliation import reconcile
from pgjit.proxy.window.windows import Windows
from pgjit.server.catalog_cache import CatalogCache
from pgjit.server.servers import Servers
from pgjit.telemetry import Telemetry

__all__ = ["VERSION", "App"]

VERSION = version("pgjit")
_log = logging.getLogger("pgjit.app")


class App:
    """`async with App(config) as app:` serves until the block is left; leaving it drains."""

    def __init__(self, config: Config, *, export_metrics: bool = False, warm: bool = False) -> None:
        """`warm`: the processes that judge are there before the first client, not when one first needs them."""
        self._config = config
        self._warm = warm
        self._export = export_metrics
        self._stack = AsyncExitStack()
        self.port = 0
        self.admin_port = 0

    async def __aenter__(self) -> Self:
        """Raises InvalidFile, ServerUnavailable, JournalUnavailable or OSError; what was opened is closed."""
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _open(self) -> None:
        config, stack = self._config, self._stack
        tls = _server_tls(config)
        provider = _provider(config)
        clock = Clock()
        store: Store = STORES[config.file.store.kind](f"sqlite:///{config.path(config.file.store.path)}")
        await store.open()
        stack.push_async_callback(store.close)
        if floor := await store.clock_floor():
            clock.not_before(floor)
        journal = await self._journal(store, clock)
        telemetry = Telemetry(version=VERSION, export=self._export)
        stack.callback(telemetry.close)
        registry = Registry()
        kept = KeptBackends(store, journal, clock, telemetry)
        stack.push_async_callback(kept.close)
        await kept.load()
        windows = Windows(store, journal, registry, clock, kept)
        stack.push_async_callback(windows.close)
        await windows.resume(config.policies)
        await provider.start()
        stack.push_async_callback(provider.close)
        memberships = await self._memberships(store, clock)
        servers = {name: Servers(target) for name, target in config.targets.items()}
        for each in servers.values():
            stack.push_async_callback(each.close)
        stack.push_async_callback(kept.stop)
        kept.start(servers)
        services = Services(
            provider=provider,
            policies=config.policies,
            targets=config.targets,
            servers=servers,
            windows=windows,
            kept_backends=kept,
            registry=registry,
            journal=journal,
            flush_before_forward=config.file.journal.sync == "always",
            clock=clock,
            limits=_limits(config),
            new_worker=WorkerProcess,
            catalogs=self._catalogs(servers),
            telemetry=telemetry,
            authentication=config.authentication,
            memberships=memberships,
        )
        stack.push_async_callback(services.judge_workers.close)
        if self._warm:
            await services.judge_workers.start()
        await self._serve(services, provider, tls)

    def _catalogs(self, servers: Mapping[str, Servers]) -> dict[str, CatalogCache]:
        """One for each connection: read when a session first needs it, and looked after from then on."""
        catalogs = {name: CatalogCache(target, servers[name]) for name, target in self._config.targets.items()}
        for each in catalogs.values():
            self._stack.push_async_callback(each.close)
            watching = asyncio.create_task(each.watch())
            self._stack.push_async_callback(_cancelled, watching)
        return catalogs

    async def _memberships(self, store: Store, clock: Clock) -> Memberships:
        config, section = self._config, self._config.file.identity
        directory = graph_from_section(section, config.folder)
        if directory is None:
            return Memberships()
        self._stack.push_async_callback(directory.close)
        assert section.graph is not None
        schedule = RecheckSchedule(
            recheck=timedelta(seconds=section.graph.recheck),
            max_stale=timedelta(seconds=section.graph.max_stale),
            token_age=timedelta(seconds=section.max_token_age),
        )
        memberships = Memberships(
            directory,
            source=section.group_source,
            groups=config.policies.groups,
            schedule=schedule,
            clock=clock,
            denials=store,
            denied=await store.denials(clock()),
        )
        memberships.start()
        self._stack.push_async_callback(memberships.close)
        return memberships

    async def _journal(self, store: Store, clock: Clock) -> Journal:
        config = self._config
        sink = SINKS[config.file.journal.kind](config.path(config.file.journal.path))
        journal = Journal.open(sink, sync=config.file.journal.sync)
        self._stack.push_async_callback(journal.close)
        await reconcile(store, journal, config.policies, clock())
        policies = tuple((policy.name, policy.version) for policy in config.policies.values())
        journal.append([ServiceStarted(at=clock(), version=VERSION, config_hash=config.sha256, policies=policies)])
        self._stack.callback(_note_stop, journal, clock)
        return journal

    async def _serve(self, services: Services, provider: Provider, tls: ssl.SSLContext) -> None:
        config = self._config
        listener = Listener(services, tls)
        checks = {
            "identity keys fetched": lambda: provider.ready,
            "journal writable": lambda: services.journal.writable,
            "accepting connections": lambda: listener.accepting,
        }
        admin = AdminServer(admin_api(checks))
        # Closed after the listener: who watches the drain reads from it that pgjit is alive and not ready.
        self._stack.push_async_callback(admin.close)
        self._stack.push_async_callback(listener.drain, config.file.limits.drain_seconds)
        await listener.open(config.file.listen.host, config.file.listen.port)
        self.port = listener.ports[0]
        await admin.open(config.file.admin.host, config.file.admin.port)
        self.admin_port = admin.port


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _limits(config: Config) -> ProxyLimits:
    """As configured, with no more connections than there are files to open for them."""
    limits, targets = config.file.limits, len(config.targets)
    most = room(limits.connections, targets, raise_limit(descriptors_for(limits.connections, targets)))
    return ProxyLimits(**{**limits.model_dump(exclude={"drain_seconds"}), "connections": most})


def _note_stop(journal: Journal, clock: Clock) -> None:
    try:
        journal.append([ServiceStopped(at=clock(), reason="stopped")])
    except JournalUnavailable:
        _log.error("the stop of the service could not be recorded")


def _server_tls(config: Config) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = config.path(config.file.tls.certificate), config.path(config.file.tls.key)
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as fault:
        raise InvalidFile("TLS configuration", [f"{certificate} and {key}: {fault}"]) from None
    return context


def _provider(config: Config) -> Provider:
    identity = config.file.identity
    if identity.provider not in PROVIDERS:
        raise InvalidFile(
            "identity configuration", [f"provider `{identity.provider}` is not known: {', '.join(PROVIDERS)}"]
        )
    return PROVIDERS[identity.provider](identity, config.file.limits.token_bytes)
