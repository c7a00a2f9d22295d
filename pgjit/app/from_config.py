"""What the application is made of, from the configuration: TLS contexts, identity providers, limits, memberships.

Decides which plug-in a configured name means. Starts nothing.
"""

from __future__ import annotations

import re
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING

from pgjit.api.section import HttpTlsSection
from pgjit.app.worker_place import WorkerPlace
from pgjit.audit.journal import Journal
from pgjit.audit.redaction.salts import SaltFiles
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import Clock
from pgjit.config import Config, TlsSection
from pgjit.errors import InvalidFile
from pgjit.file_descriptors import descriptors_for, raise_limit, room
from pgjit.grants.requests import Requests
from pgjit.grants.store import Store
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.grants.ties import Ties
from pgjit.identity.directory import Directory
from pgjit.identity.membership_rechecks import RecheckSchedule
from pgjit.identity.provider import Provider
from pgjit.identity.providers import PROVIDERS
from pgjit.identity.section import IdentitySection
from pgjit.notify.notifier import Notifier
from pgjit.proxy.door.balancers import Balancers
from pgjit.proxy.membership import Memberships
from pgjit.proxy.services import WORKER, ProxyLimits
from pgjit.proxy.window.fleet_node import FleetNode
from pgjit.server.credential import CredentialUnavailable
from pgjit.server.store_login import store_tls
from pgjit.server.target import Target

if TYPE_CHECKING:
    from pgjit.grants.stores.postgres_database import PostgresDatabase
    from pgjit.grants.stores.postgres_login import PostgresLogin

__all__ = [
    "balancers_of",
    "fleet_node_of",
    "limits_of",
    "memberships_from",
    "new_notifier",
    "new_store",
    "opened_journal",
    "provider_of",
    "server_tls",
    "versions_of",
    "writer_of",
]


_OF_SHUTDOWN = {"drain_delay_seconds", "drain_seconds"}


def opened_journal(config: Config) -> Journal:
    """The journal of this process. Raises ServerUnavailable."""
    section = config.file.journal
    folder = config.journal_folder
    sink = SegmentSink(folder, writer_of(config))
    journal = Journal.open(sink, durability=section.durability, rotation=section.rotation, salts=SaltFiles(folder))
    journal.results = sink.results
    return journal


def writer_of(config: Config) -> str:
    """The writer of the journal: this node, and its worker."""
    node = re.sub(r"[^A-Za-z0-9._-]", "-", config.node)
    return f"{node}/{WORKER}"


def limits_of(config: Config) -> ProxyLimits:
    """As configured, with no more connections than there are files to open for them."""
    section, targets, http_api = config.file.limits, len(config.targets), config.file.api is not None
    files = raise_limit(descriptors_for(section.connections, targets, http_api=http_api))
    most = room(section.connections, targets, files, http_api=http_api)
    return ProxyLimits(**{**section.model_dump(exclude=_OF_SHUTDOWN), "connections": most})


def balancers_of(config: Config) -> Balancers | None:
    section = config.file.listen.proxy_protocol
    return None if section is None else Balancers(section.networks)


def server_tls(config: Config, section: TlsSection | HttpTlsSection) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = config.path(section.certificate), config.path(section.key)
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as fault:
        raise InvalidFile("TLS configuration", [f"{certificate} and {key}: {fault}"]) from None
    return context


def provider_of(config: Config, identity: IdentitySection) -> Provider:
    if identity.provider not in PROVIDERS:
        fault = f"provider `{identity.provider}` is not known: {', '.join(PROVIDERS)}"
        raise InvalidFile("identity configuration", [fault])
    return PROVIDERS[identity.provider](identity, config.file.limits.token_bytes)


async def memberships_from(config: Config, directory: Directory, clock: Clock, store: Store) -> Memberships:
    section = config.file.identity
    assert section.graph is not None
    schedule = RecheckSchedule(
        recheck=timedelta(seconds=section.graph.recheck),
        max_stale=timedelta(seconds=section.graph.max_stale),
        token_age=timedelta(seconds=section.max_token_age),
    )
    return Memberships(
        directory,
        source=section.group_source,
        groups=config.policies.groups,
        schedule=schedule,
        clock=clock,
        denials=store,
        denied=await store.denials(clock()),
    )


def versions_of(config: Config) -> dict[str, str]:
    """The version of each policy, by name."""
    return {policy.name: policy.version for policy in config.policies.values()}


def fleet_node_of(config: Config, store: Store, clock: Clock, place: WorkerPlace | None = None) -> FleetNode:
    section = config.file.store
    node = FleetNode(
        config.node,
        store,
        clock,
        versions_of(config),
        stale_after=timedelta(seconds=section.stale_after),
        strict=section.strict,
        run=None if place is None else place.run,
        dead=() if place is None else place.dead,
    )
    if place is not None:
        place.siblings.on_death(node.take_over_from)
    return node


def new_store(config: Config) -> SqlStore:
    """The window store, which is not open yet."""
    database = SqliteDatabase(config.path(config.file.store.path)) if config.store is None else new_postgres(config)
    return SqlStore(database, node=config.node)


def new_postgres(config: Config) -> PostgresDatabase:
    from pgjit.grants.stores.postgres_database import PostgresDatabase  # here: its driver is not always needed

    assert config.store is not None
    return PostgresDatabase(postgres_login(config.store))


def postgres_login(target: Target) -> PostgresLogin:
    """The login to the store's server, with a secret that is fetched for each connection."""
    from pgjit.grants.stores.postgres_login import PostgresLogin

    credential = target.credential

    async def secret() -> str:
        try:
            return "" if credential is None else await credential.secret()
        except CredentialUnavailable as fault:
            raise OSError(f"the password for the store is not available: {fault}") from None

    def tls() -> ssl.SSLContext | None:
        try:
            return store_tls(target)
        except ValueError as fault:
            raise OSError(str(fault)) from None

    return PostgresLogin(
        hosts=tuple((host.name, host.port) for host in target.hosts),
        database=target.database,
        user=target.user,
        secret=secret,
        refused=(lambda: None) if credential is None else credential.refused,
        tls=tls,
        connect_timeout=target.connect_timeout,
    )


def new_notifier(
    config: Config, store: Store, clock: Clock, requests: Requests, directory: Directory | None, ties: Ties
) -> Notifier:
    section, policies = config.file.notify, config.policies.get
    if section is None:
        return Notifier(store, clock, {}, policies)
    from pgjit.notify.channels import ChannelNeeds, subscriptions_of  # with the client of each protocol

    needs = ChannelNeeds(
        secrets=config.channel_secrets,
        folder=config.folder,
        clock=clock,
        requests=requests,
        directory=directory,
        ties=ties,
    )
    return Notifier(
        store,
        clock,
        subscriptions_of(section, needs),
        policies,
        link=section.link,
        give_up_after=timedelta(seconds=section.give_up_after),
    )
