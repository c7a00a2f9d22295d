"""The metrics that are read from the parts when somebody collects them: ages, sizes, what is open now.

Decides where each number is read. It is called at each collection, so it costs the data path nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pgjit.app.reload import Reload
from pgjit.audit.journal import Journal
from pgjit.audit.keeping import Upkeep
from pgjit.audit.keeping.disk_space import free_bytes
from pgjit.audit.telemetry.export_process import ExportProcess
from pgjit.identity.provider import Provider
from pgjit.notify.notifier import Notifier
from pgjit.proxy.services import Services
from pgjit.server.catalog_cache import CatalogCache
from pgjit.telemetry.dependency import ExternalDependency
from pgjit.telemetry.metrics import Metrics

__all__ = ["watch", "watch_notifications", "watch_reloads"]


def watch(
    services: Services, catalogs: Mapping[str, CatalogCache], upkeep: Upkeep, export: ExportProcess | None
) -> None:
    """Take the numbers from the parts of `services` from now on."""
    metrics, clock = services.telemetry.metrics, services.clock
    _watch_journal(metrics, services.journal)
    _watch_upkeep(metrics, Path(services.journal.name), upkeep)
    _watch_ages(metrics, services.provider, catalogs)
    metrics.memberships_age.watch(lambda: {(): services.memberships.oldest_age(clock())})
    metrics.windows.watch(lambda: {(p,): n for p, n in Counter(w.policy for w in services.windows.live()).items()})

    def dependencies() -> list[ExternalDependency]:
        return [
            *services.provider.dependencies,
            *services.memberships.dependencies,
            *(servers.dependency for servers in services.servers.values()),
            *(catalog.dependency for catalog in catalogs.values()),
            *([] if export is None else [export.dependency]),
        ]

    if export is not None:
        _watch_export(metrics, services.journal, export)
    metrics.dependency_failures.watch(lambda: {(each.kind, each.name): each.failures for each in dependencies()})
    metrics.dependency_up.watch(lambda: {(each.kind, each.name): int(each.up) for each in dependencies()})


def watch_reloads(metrics: Metrics, reload: Reload) -> None:
    def info() -> dict[tuple[str, ...], float]:
        versions = sorted(f"{policy.name}={policy.version}" for policy in reload.config.policies.values())
        policies = hashlib.sha256("\n".join(versions).encode()).hexdigest()
        return {(reload.config.sha256[:12], policies[:12]): 1}

    state = reload.state
    metrics.reloads.watch(lambda: {("success",): state.succeeded, ("failure",): state.failed})
    metrics.reloaded_at.watch(lambda: {(): state.in_force_since.timestamp()})
    metrics.config_info.watch(info)
    metrics.certificate_expiry.watch(lambda: {(key,): at.timestamp() for key, at in reload.expiries.items()})


def watch_notifications(metrics: Metrics, notifier: Notifier) -> None:
    """As the notifier counted them some seconds ago: no collection waits for the store."""
    metrics.notifications_waiting.watch(lambda: {(name,): count for name, (count, _) in notifier.waiting.items()})
    metrics.notifications_age.watch(lambda: {(name,): age for name, (_, age) in notifier.waiting.items()})


def _watch_journal(metrics: Metrics, journal: Journal) -> None:
    place, first = Path(journal.name), journal.seq
    metrics.journal_records.watch(lambda: {(): journal.seq - first})
    metrics.journal_written.watch(lambda: {(): journal.written})
    metrics.journal_failures.watch(lambda: {(): journal.failures})
    metrics.journal_writable.watch(lambda: {(): int(journal.writable)})
    metrics.journal_unsynced.watch(lambda: {(): journal.unsynced})
    metrics.journal_lag.watch(lambda: {(): journal.lag})
    metrics.journal_size.watch(lambda: {(): _size_on_disk(place)})


def _watch_export(metrics: Metrics, journal: Journal, export: ExportProcess) -> None:
    totals = export.totals
    metrics.otlp_records.watch(lambda: {(): totals["records"]})
    metrics.otlp_refused.watch(lambda: {(): totals["refused"]})
    metrics.otlp_lost.watch(lambda: {(): totals["skipped"]})
    metrics.otlp_spans.watch(lambda: {(): totals["spans"]})
    metrics.otlp_spans_dropped.watch(lambda: {(): totals["spans_dropped"]})
    if export.settings.logs:
        metrics.otlp_unsent.watch(lambda: {(): 0 if export.index is None else max(0, journal.seq - export.index)})


def _watch_upkeep(metrics: Metrics, folder: Path, upkeep: Upkeep) -> None:
    metrics.journal_free.watch(lambda: {(): free_bytes(folder)} if folder.exists() else {})
    metrics.journal_space_low.watch(lambda: {(): int(upkeep.space_low)})
    metrics.journal_unarchived.watch(lambda: {(): upkeep.waiting})
    metrics.journal_held.watch(lambda: {(): upkeep.held})
    metrics.journal_archive_failures.watch(lambda: {(): upkeep.archive_failures})


def _watch_ages(metrics: Metrics, provider: Provider, catalogs: Mapping[str, CatalogCache]) -> None:
    metrics.keys_age.watch(lambda: {(issuer,): age for issuer, age in provider.key_ages.items()})
    metrics.catalog_age.watch(lambda: {(name,): catalog.age for name, catalog in catalogs.items()})


def _size_on_disk(place: Path) -> int:
    """The bytes of all files in its folder; 0 while that is not there."""
    size = 0
    with suppress(OSError):
        for each in place.iterdir():
            with suppress(FileNotFoundError):  # compressed or dropped meanwhile
                size += each.stat().st_size
    return size
