"""A server's catalog, read over a connection of its own, and read again when it has changed.

Decides when it is read, and what is too much. `pgjit.sql.resolve.catalog_builder` puts it together; what follows
from it is the policy's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from pgjit.errors import CatalogBeingRead, ServerUnavailable
from pgjit.server.catalog_queries import CHANGED, ORIGIN, QUERIES
from pgjit.server.catalog_secrets import find_secrets
from pgjit.server.link import Link, LinkClosed
from pgjit.server.servers import Backend, Servers
from pgjit.server.simple_query import QueryFailed, run_query
from pgjit.server.target import Target
from pgjit.single_flight import SingleFlight
from pgjit.sql.catalog import Catalog
from pgjit.sql.resolve.catalog_builder import build_catalog
from pgwire.errors import RemoteProtocolError

__all__ = ["MOST_ROWS", "CatalogCache", "read_catalog"]

MOST_ROWS = 200_000
"""Rows of any one of the questions. With more of them a server's catalog is not read at all."""

_SECONDS = 900.0
"""For a whole reading. Logins do not wait so long; but one that was given up would begin anew for ever."""
_FAULTS = (OSError, TimeoutError, LinkClosed, QueryFailed, RemoteProtocolError, ValueError)
_log = logging.getLogger(__name__)


class CatalogCache:
    """The catalog of one target. `get` reads it once; `watch` keeps it up to date for as long as it runs."""

    def __init__(
        self, target: Target, servers: Servers, *, every: float = 10.0, pause: float = 1.0, deadline: float = 30.0
    ) -> None:
        self.latest: Catalog | None = None
        self._target = target
        self._servers = servers
        self._every = every
        self._pause = pause
        self._tried = self._began = float("-inf")  # the latest look, and the latest that succeeded: when they began
        self._deadline = deadline
        self._backend: Backend | None = None
        self._stamp = ""
        self._read = SingleFlight(self._refresh, stopped=lambda: self._unreadable("pgjit is stopping"))

    async def get(self, within: float | None = None) -> Catalog:
        """The catalog, read now if it was not yet.

        Raises ServerUnavailable, and CatalogBeingRead when it is not there `within` so many seconds: reading goes on.
        """
        if self.latest is not None:
            return self.latest
        try:
            async with asyncio.timeout(within):
                return await self._read()
        except TimeoutError:
            since = asyncio.get_running_loop().time() - self._tried
            raise CatalogBeingRead(connection=self._target.name, seconds=since) from None

    async def refresh(self) -> Catalog:
        """The catalog as it is now. Raises ServerUnavailable."""
        return await self._read()

    async def look(self, *, soon: bool = False) -> None:
        """See what is there by now, with those who ask at the same time; at most once in `pause`.

        `soon`: ten times as often, for who has changed it.

        Returns when a look that began later than this was asked has succeeded. Raises ServerUnavailable.
        """
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while self._began < asked:
            await asyncio.sleep(self._tried + (self._pause / 10 if soon else self._pause) - loop.time())
            await self._read()

    async def watch(self) -> None:
        """Look every few seconds whether it has changed. Ends by being cancelled."""
        while True:
            await asyncio.sleep(self._every)
            if self.latest is None:
                continue  # nobody has needed it
            try:
                await self._read()
            except ServerUnavailable as fault:  # the one that was read goes on to count
                _log.warning("catalog of connection %s: %s", self._target.name, fault.detail or fault.message)

    async def close(self) -> None:
        await self._read.close()
        backend, self._backend = self._backend, None
        if backend is not None:
            await backend.leave()

    async def _refresh(self) -> Catalog:
        began = self._tried = asyncio.get_running_loop().time()
        catalog = await self._look_twice()
        self._began = began
        return catalog

    async def _look_twice(self) -> Catalog:
        for attempt in (1, 2):
            kept = self._backend is not None
            backend = self._backend or await self._servers.connect(_settings, self._deadline)
            self._backend = backend
            try:
                async with asyncio.timeout(_SECONDS):
                    return await self._look(backend.upstream.link)
            except _FAULTS as fault:
                self._give_up(backend)
                # A connection that was kept may have died since it was last used: once more on a new one.
                if not kept or attempt == 2:
                    reason = "it took too long" if isinstance(fault, TimeoutError) else str(fault)
                    raise self._unreadable(reason or type(fault).__name__) from None
            except BaseException:
                self._give_up(backend)
                raise
        raise AssertionError("unreachable")

    async def _look(self, link: Link) -> Catalog:
        stamp = repr((await run_query(link, CHANGED), await find_secrets(link)))
        if self.latest is None or stamp != self._stamp:
            self.latest = await read_catalog(link, search_path=self._target.search_path)
            self._stamp = stamp
        return self.latest

    def _give_up(self, backend: Backend) -> None:
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
    """The catalog as sessions with that `search_path` see it: one snapshot.

    The connection's own search path must be `pg_catalog`. Raises QueryFailed, LinkClosed, RemoteProtocolError,
    and ValueError where there is too much of it.
    """
    await run_query(link, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    (origin,) = await _rows(link, "origin", ORIGIN)
    rows = {name: await _rows(link, name, query) for name, query in QUERIES.items()}
    secrets = await find_secrets(link)
    quoted = search_path.replace("'", "''")
    await run_query(link, f"SELECT set_config('search_path', '{quoted}', true)")
    (schemas,) = await run_query(link, "SELECT pg_catalog.to_json(pg_catalog.current_schemas(false))")
    await run_query(link, "COMMIT")
    path = tuple(orjson.loads(schemas[0] or "[]"))
    # Hundreds of thousands of objects may come of it: that is no work for the event loop.
    return await asyncio.to_thread(_assembled, origin, rows, secrets, path, search_path)


def _assembled(
    origin: str,
    rows: Mapping[str, Sequence[str]],
    secrets: Sequence[Mapping[str, Any]],
    path: tuple[str, ...],
    pinned: str,
) -> Catalog:
    facts = orjson.loads(origin)
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
    """Each as the text of a JSON object."""
    asked = f"SELECT row_to_json(q) FROM ({query} LIMIT {MOST_ROWS + 1}) AS q"  # noqa: S608 - our own text
    rows = await run_query(link, asked)
    if len(rows) > MOST_ROWS:
        raise ValueError(f"it has more than {MOST_ROWS} {name}")
    return [row[0] or "{}" for row in rows]


def _settings(_major: int) -> dict[str, str]:
    return {
        "application_name": "pgjit catalog",
        "client_encoding": "UTF8",
        "default_transaction_read_only": "on",
        # Its questions are about all there is. The planner takes some of their joins for tiny, and on a server with
        # 20,000 tables looks through pg_type once for each type then.
        "enable_nestloop": "off",
        "jit": "off",
        "search_path": "pg_catalog",
        "standard_conforming_strings": "on",
    }
