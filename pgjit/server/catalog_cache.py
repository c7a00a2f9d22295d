"""The catalog of one target, cached. It is refreshed over a connection of its own when the server's catalog changes.

Decides when the catalog is read, and the limit on its size. `pgjit.sql.resolve.catalog_builder` builds the `Catalog`
value; policies decide what follows from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from pgjit.errors import CatalogBeingRead, ServerUnavailable
from pgjit.server.catalog_queries import CHANGE_STAMP, QUERIES, SERVER_FACTS
from pgjit.server.catalog_secrets import find_secrets
from pgjit.server.link import Link
from pgjit.server.link_waits import LinkClosed
from pgjit.server.servers import Backend, Servers
from pgjit.server.simple_query import QueryFailed, run_query
from pgjit.server.target import Target
from pgjit.single_flight import SingleFlight
from pgjit.sql.catalog import Catalog
from pgjit.sql.resolve.catalog_builder import build_catalog
from pgjit.telemetry.dependency import ExternalDependency
from pgwire.errors import RemoteProtocolError

__all__ = ["MOST_ROWS", "CatalogCache", "read_catalog"]

MOST_ROWS = 200_000
"""Limit on the rows of each query. A catalog above the limit is not read at all."""

_READ_SECONDS = 900.0
"""Time limit for reading a whole catalog. Logins wait less; but a shorter limit could restart the reading forever."""
_FAULTS = (OSError, TimeoutError, LinkClosed, QueryFailed, RemoteProtocolError, ValueError)


class CatalogCache:
    """`get` reads the catalog on the first call. `watch` refreshes it until it is cancelled."""

    def __init__(
        self, target: Target, servers: Servers, *, every: float = 10.0, pause: float = 1.0, deadline: float = 30.0
    ) -> None:
        self.latest: Catalog | None = None
        self.dependency = ExternalDependency("catalog", target.name)
        self._target = target
        self._servers = servers
        self._interval = every
        self._min_interval = pause
        # When the latest refresh began, and when the latest successful one began.
        self._latest_start = self._fresh_since = float("-inf")
        self._deadline = deadline
        self._backend: Backend | None = None
        self._stamp = ""
        self._read = SingleFlight(self._refresh, stopped=lambda: self._unreadable("pgjit is stopping"))

    async def get(self, within: float | None = None) -> Catalog:
        """The cached catalog; read now if there is none.

        Raises ServerUnavailable. Raises CatalogBeingRead after `within` seconds; the reading continues.
        """
        if self.latest is not None:
            return self.latest
        try:
            async with asyncio.timeout(within):
                return await self._read()
        except TimeoutError:
            since = asyncio.get_running_loop().time() - self._latest_start
            raise CatalogBeingRead(connection=self._target.name, seconds=since) from None

    async def refresh(self) -> Catalog:
        """Refresh and return the catalog. Raises ServerUnavailable."""
        return await self._read()

    async def refresh_after_now(self, *, soon: bool = False) -> None:
        """Return when a refresh that began after this call has succeeded. Raises ServerUnavailable.

        Concurrent callers share one refresh. Refreshes begin at least `pause` seconds apart; with `soon` a tenth of
        that, for a session that may have changed the catalog itself.
        """
        loop = asyncio.get_running_loop()
        called_at = loop.time()
        while self._fresh_since < called_at:
            await asyncio.sleep(
                self._latest_start + (self._min_interval / 10 if soon else self._min_interval) - loop.time()
            )
            await self._read()

    def change(self, target: Target) -> None:
        """The login or its secret is another one: log in anew for the next reading."""
        self._target = target
        if self._backend is not None:
            self._drop(self._backend)

    async def watch(self) -> None:
        """Refresh a catalog that is in use every few seconds. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            if self.latest is None:
                continue  # no session has needed it yet
            with suppress(ServerUnavailable):  # the cached catalog stays in use
                await self._read()

    @property
    def age(self) -> float:
        """Seconds since the catalog was last known to be the server's; 0 before it was read."""
        return asyncio.get_running_loop().time() - self._fresh_since if self.latest is not None else 0.0

    async def close(self) -> None:
        await self._read.close()
        backend, self._backend = self._backend, None
        if backend is not None:
            await backend.leave()

    async def _refresh(self) -> Catalog:
        began = self._latest_start = asyncio.get_running_loop().time()
        try:
            catalog = await self._read_with_retry()
        except ServerUnavailable as fault:
            self.dependency.failed(fault.detail or fault.message)
            raise
        self.dependency.works()
        self._fresh_since = began
        return catalog

    async def _read_with_retry(self) -> Catalog:
        for attempt in (1, 2):
            reused = self._backend is not None
            backend = self._backend or await self._servers.connect(_settings, self._deadline)
            self._backend = backend
            try:
                async with asyncio.timeout(_READ_SECONDS):
                    return await self._read_if_changed(backend.upstream.link)
            except _FAULTS as fault:
                self._drop(backend)
                # A reused connection may have died since its last use: retry once on a new one.
                if not reused or attempt == 2:
                    reason = "it took too long" if isinstance(fault, TimeoutError) else str(fault)
                    raise self._unreadable(reason or type(fault).__name__) from None
            except BaseException:
                self._drop(backend)
                raise
        raise AssertionError("unreachable")

    async def _read_if_changed(self, link: Link) -> Catalog:
        stamp = repr((await run_query(link, CHANGE_STAMP), await find_secrets(link)))
        if self.latest is None or stamp != self._stamp:
            self.latest = await read_catalog(link, search_path=self._target.search_path)
            self._stamp = stamp
        return self.latest

    def _drop(self, backend: Backend) -> None:
        backend.release()
        backend.upstream.link.abort()
        self._backend = None

    def _unreadable(self, reason: str) -> ServerUnavailable:
        return ServerUnavailable(
            f"the catalog of connection `{self._target.name}` cannot be read",
            reference="catalog-unreadable",
            detail=reason,
            hint="Policies that name relations or columns need it; its operators have to look at the login.",
        )


async def read_catalog(link: Link, *, search_path: str) -> Catalog:
    """The catalog as sessions with this `search_path` see it, read in one snapshot.

    The connection's own search path must be `pg_catalog`. Raises QueryFailed, LinkClosed and RemoteProtocolError;
    ValueError for a catalog above the size limit.
    """
    await run_query(link, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    (facts,) = await _rows(link, "server facts", SERVER_FACTS)
    rows = {name: await _rows(link, name, query) for name, query in QUERIES.items()}
    secrets = await find_secrets(link)
    quoted = search_path.replace("'", "''")
    await run_query(link, f"SELECT set_config('search_path', '{quoted}', true)")
    (schemas,) = await run_query(link, "SELECT pg_catalog.to_json(pg_catalog.current_schemas(false))")
    await run_query(link, "COMMIT")
    path = tuple(orjson.loads(schemas[0] or "[]"))
    # Hundreds of thousands of objects would stall the event loop.
    return await asyncio.to_thread(_assemble, facts, rows, secrets, path, search_path)


def _assemble(
    facts_json: str,
    rows: Mapping[str, Sequence[str]],
    secrets: Sequence[Mapping[str, Any]],
    path: tuple[str, ...],
    pinned: str,
) -> Catalog:
    facts = orjson.loads(facts_json)
    return build_catalog(
        {**{name: [orjson.loads(row) for row in some] for name, some in rows.items()}, "secrets": secrets},
        server_version=facts["version"],
        search_path=path,
        database=facts["database"],
        role=facts["role"],
        encoding=facts["encoding"],
        superuser=facts["superuser"],
        pinned_path=pinned,
    )


async def _rows(link: Link, name: str, query: str) -> list[str]:
    """Each row as the text of a JSON object."""
    sql = f"SELECT row_to_json(q) FROM ({query} LIMIT {MOST_ROWS + 1}) AS q"  # noqa: S608 - our own text
    rows = await run_query(link, sql)
    if len(rows) > MOST_ROWS:
        raise ValueError(f"it has more than {MOST_ROWS} {name}")
    return [row[0] or "{}" for row in rows]


def _settings(_major: int) -> dict[str, str]:
    return {
        "application_name": "pgjit catalog",
        "client_encoding": "UTF8",
        "default_transaction_read_only": "on",
        # The planner underestimates some joins over the whole catalog: with 20,000 tables it would scan pg_type once
        # for each type.
        "enable_nestloop": "off",
        "jit": "off",
        "search_path": "pg_catalog",
        "standard_conforming_strings": "on",
    }
