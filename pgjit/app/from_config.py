"""What the application is made of, from the configuration: TLS contexts, identity providers, limits, memberships.

Decides which plug-in a configured name means. Starts nothing.
"""

from __future__ import annotations

import ssl
from datetime import timedelta

from pgjit.api.section import HttpTlsSection
from pgjit.clock import Clock
from pgjit.config import Config, TlsSection
from pgjit.errors import InvalidFile
from pgjit.file_descriptors import descriptors_for, raise_limit, room
from pgjit.grants.store import Store
from pgjit.identity.directory import Directory
from pgjit.identity.membership_rechecks import RecheckSchedule
from pgjit.identity.provider import Provider
from pgjit.identity.providers import PROVIDERS
from pgjit.identity.section import IdentitySection
from pgjit.proxy.membership import Memberships
from pgjit.proxy.services import ProxyLimits

__all__ = ["limits_of", "memberships_from", "provider_of", "server_tls"]


def limits_of(config: Config) -> ProxyLimits:
    """As configured, with no more connections than there are files to open for them."""
    section, targets = config.file.limits, len(config.targets)
    most = room(section.connections, targets, raise_limit(descriptors_for(section.connections, targets)))
    return ProxyLimits(**{**section.model_dump(exclude={"drain_seconds"}), "connections": most})


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
