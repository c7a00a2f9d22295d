"""The checks of `/readyz`: what makes this node not ready, and what is only a warning.

A node is not ready for what another node could do better, or where no login can succeed: it stops, its journal
accepts nothing, it lost its name or its clock, it has no keys or no store. What all nodes share and can serve
without for a while is a warning: a database server, the directory, a receiver of records. One server that is down
must not take every node out of the balancer: clients would lose the error that says what is wrong, and cancel
requests their way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from pgjit.api.readiness import CheckResult, ReadinessCheck
from pgjit.audit.journal import Journal
from pgjit.audit.keeping import Upkeep
from pgjit.audit.keeping.disk_space import free_bytes
from pgjit.errors import ServerUnavailable
from pgjit.grants.store import Store
from pgjit.identity.provider import Provider
from pgjit.proxy.listener import Listener
from pgjit.proxy.membership import Memberships
from pgjit.proxy.window.fleet_node import FleetNode
from pgjit.proxy.window.kept_backends import KeptBackends
from pgjit.server.catalog_cache import CatalogCache
from pgjit.server.servers import Servers
from pgjit.telemetry.dependency import ExternalDependency

__all__ = ["ConnectionProbes", "WatchedParts", "readiness_checks"]

_PROBE_EVERY = 10.0
_PROBE_SECONDS = 5.0
_OLD_CATALOG = 120.0
"""Seconds. A catalog in use is compared with the server's every ten."""
_OLD_KEYS = 2 * 3600.0
"""Seconds. Keys are fetched every hour, and used for a day."""
_AHEAD = timedelta(seconds=1)
_OUTAGE = "Sessions on it fail until it is back; the node goes on to serve its other connections."


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedParts:
    listener: Listener
    node: FleetNode
    store: Store
    journal: Journal
    upkeep: Upkeep
    provider: Provider
    memberships: Memberships
    kept_backends: KeptBackends
    servers: Mapping[str, Servers]
    catalogs: Mapping[str, CatalogCache]


@dataclass(slots=True)
class ConnectionProbes:
    """Whether each connection's server can be reached: its control connection is up, or could be opened.

    Looked at while somebody asks for readiness, in the background and every ten seconds at most.
    """

    servers: Mapping[str, Servers]
    faults: dict[str, str | None] = field(default_factory=dict)  # None: reached
    _begun: dict[str, float] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def begin(self) -> None:
        """Start those that are due."""
        now = asyncio.get_running_loop().time()
        for name in self.servers:
            if now >= self._begun.get(name, float("-inf")) + _PROBE_EVERY:
                self._begun[name] = now
                task = asyncio.create_task(self._probe(name))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _probe(self, name: str) -> None:
        servers = self.servers.get(name)
        if servers is None:
            return  # the connection was removed
        try:
            await servers.check_reachable(_PROBE_SECONDS)
        except ServerUnavailable as fault:
            self.faults[name] = fault.detail or fault.message
        else:
            self.faults[name] = None

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def readiness_checks(parts: WatchedParts, probes: ConnectionProbes) -> list[ReadinessCheck]:
    return [
        ReadinessCheck("listener", lambda: _listener(parts.listener)),
        ReadinessCheck("node", lambda: _node(parts.node)),
        ReadinessCheck("clock", lambda: _clock(parts.node)),
        ReadinessCheck("store", lambda: _store(parts.store)),
        ReadinessCheck("journal", lambda: _journal(parts.journal)),
        ReadinessCheck("journal-space", lambda: _space(parts.journal, parts.upkeep)),
        ReadinessCheck("journal-copies", lambda: _copies(parts.upkeep)),
        ReadinessCheck("keys", lambda: _keys(parts.provider)),
        ReadinessCheck("earlier-backends", lambda: _earlier_backends(parts.kept_backends)),
        *(ReadinessCheck(each.kind, partial(_dependency, each)) for each in parts.memberships.dependencies),
        *_of_connections(parts, probes),
    ]


def _of_connections(parts: WatchedParts, probes: ConnectionProbes) -> Iterator[ReadinessCheck]:
    for name, servers in parts.servers.items():
        yield ReadinessCheck(f"connection/{name}", partial(_connection, name, servers, probes))
        if (catalog := parts.catalogs.get(name)) is not None:
            yield ReadinessCheck(f"catalog/{name}", partial(_catalog, catalog))


# --- this node ---------------------------------------------------------------------------------------------


def _listener(listener: Listener) -> CheckResult:
    if not listener.accepting:
        known = "pgjit is stopping" if listener.stopping else "it does not accept connections yet"
        return CheckResult.of(failed=True, known=f"{known}, {listener.connections} connections are open")
    return CheckResult.of(
        warns=listener.full,
        known=f"accepts connections, {listener.connections} are open" + (", and no more are served" * listener.full),
        hint="Who holds them? Raise limits.connections, or add a node.",
    )


def _node(node: FleetNode) -> CheckResult:
    hint = "Each node on a store needs a name of its own (`node`): stop this process."
    known = "another process has taken its name" if node.superseded else "it has its name"
    return CheckResult.of(failed=node.superseded, known=known, hint=hint)


def _clock(node: FleetNode) -> CheckResult:
    if (ahead := node.ahead) is None:
        return CheckResult.of(known="there is no other clock to compare it with: the store is a file")
    seconds = ahead.total_seconds()
    return CheckResult.of(
        failed=node.fault is not None and not node.superseded,
        warns=ahead > _AHEAD,
        known=f"{seconds:.3f} s ahead of the store's" if seconds > 0 else "not ahead of the store's",
        hint="Set the clock of this node, or that of the store's server: does a time service run on both?",
    )


def _earlier_backends(kept: KeptBackends) -> CheckResult:
    return CheckResult.of(
        failed=kept.orphans_remain,
        known="backends of an earlier process still run"
        if kept.orphans_remain
        else "none of an earlier process runs",
        hint="pgjit is ending them, and is ready after a minute in any case; see pgjit_backends_remaining.",
    )


# --- the store, the journal, keys --------------------------------------------------------------------------


def _store(store: Store) -> CheckResult:
    return CheckResult.of(
        failed=not store.usable,
        known="its last use succeeded" if store.usable else "its last use failed: no window is opened or joined",
        hint="Open sessions go on, and none can be opened. `pgjit store check` says what is wrong.",
    )


def _journal(journal: Journal) -> CheckResult:
    writable = journal.writable
    known = (
        f"accepts records, {journal.unsynced} of them are not on the disk yet" if writable else "accepts no records"
    )
    hint = "Every statement is refused: see the log, and `pgjit doctor --journal`."
    return CheckResult.of(failed=not writable, known=known, hint=hint)


def _space(journal: Journal, upkeep: Upkeep) -> CheckResult:
    try:
        known, warns = f"{free_bytes(Path(journal.name)):,} bytes are free", upkeep.space_low
    except OSError as fault:
        known, warns = f"the journal's folder cannot be looked at: {fault.strerror}", True
    hint = "When the disk is full every statement is refused: make room, or shorten journal.keep_days."
    return CheckResult.of(warns=warns, known=known + (", which is little" if upkeep.space_low else ""), hint=hint)


def _copies(upkeep: Upkeep) -> CheckResult:
    """Whether closed segments are in the archive, and at the collector."""
    waiting = f"{upkeep.waiting} segments wait for the archive, {upkeep.held} for the collector"
    hint = "Nothing is lost, and they are kept here meanwhile: see the log for what fails."
    return CheckResult.of(warns=upkeep.archive_failing or upkeep.held > 0, known=waiting, hint=hint)


def _keys(provider: Provider) -> CheckResult:
    oldest = max(provider.key_ages.values(), default=0.0)
    known = f"the oldest keys were fetched {oldest:.0f} s ago" if provider.ready else "not all keys were fetched"
    failing = [f"{each.name} ({each.fault})" for each in provider.dependencies if not each.up]
    return CheckResult.of(
        failed=not provider.ready,
        warns=bool(failing) or oldest > _OLD_KEYS,
        known=known + (f"; not reached: {', '.join(failing)}" if failing else ""),
        hint="Tokens cannot be checked without keys, which are used for a day. Can this node reach the issuer?",
    )


# --- other servers -----------------------------------------------------------------------------------------


def _dependency(each: ExternalDependency) -> CheckResult:
    hint = "Answers from before count for identity.graph.max_stale; then sessions end and logins fail."
    known = "its last use succeeded, or there was none" if each.up else f"its last use failed: {each.fault}"
    return CheckResult.of(warns=not each.up, known=known, hint=hint)


def _connection(name: str, servers: Servers, probes: ConnectionProbes) -> CheckResult:
    fault = probes.faults.get(name)
    if fault is None and not servers.dependency.up:
        fault = servers.dependency.fault
    reached = "its control connection is up" if servers.connected else "it was not looked at yet"
    hint = f"{_OUTAGE} `pgjit doctor --connection {name}` logs in as sessions do."
    return CheckResult.of(warns=fault is not None, known=fault or reached, hint=hint)


def _catalog(catalog: CatalogCache) -> CheckResult:
    if catalog.latest is None:
        return CheckResult.of(warns=not catalog.dependency.up, known="no session has needed it yet", hint=_OUTAGE)
    return CheckResult.of(
        warns=catalog.age > _OLD_CATALOG or not catalog.dependency.up,
        known=f"compared with the server's {catalog.age:.0f} s ago",
        hint="Statements are judged by the last one that was read: can pgjit still log in there?",
    )
