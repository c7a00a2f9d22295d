"""The connections of the configuration as running parts: for each its servers and its catalog.

Decides what happens to them when the configuration changes. `config_change.py` decides which kind of change it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack

from pgjit.server.catalog_cache import CatalogCache
from pgjit.server.servers import Servers
from pgjit.server.target import Target
from pgjit.sql.catalog import Catalog

__all__ = ["Connections"]

_log = logging.getLogger("pgjit.reload")


class Connections:
    """`targets`, `servers` and `catalogs` are by name, and always those of now."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self.targets: dict[str, Target] = dict(targets)
        self.servers: dict[str, Servers] = {name: Servers(target) for name, target in targets.items()}
        self.catalogs: dict[str, CatalogCache] = {}
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._retiring: dict[asyncio.Task[None], Servers] = {}

    def open_catalogs(self) -> None:
        """Each is read when a session first needs it, and looked after from then on."""
        for name in self.targets:
            self._open_catalog(name)

    def _open_catalog(self, name: str) -> None:
        catalog = self.catalogs[name] = CatalogCache(self.targets[name], self.servers[name])
        self._watching[name] = asyncio.create_task(catalog.watch())

    def latest_catalog(self, name: str) -> Catalog | None:
        """As last read; None: not read yet, or there is no such connection."""
        catalog = self.catalogs.get(name)
        return None if catalog is None else catalog.latest

    def change(self, targets: Mapping[str, Target], *, moved: Iterable[str], logins: Iterable[str]) -> None:
        """From now on the connections are `targets`.

        `moved`: those that are new, removed, or lead elsewhere. `logins`: those whose login or secret is another one.
        """
        for name in moved:
            if name in self.targets:
                self._retire(name)
            if name in targets:
                self.targets[name] = targets[name]
                self.servers[name] = Servers(targets[name])
                self._open_catalog(name)
        for name in logins:
            self.targets[name] = targets[name]
            self.servers[name].change(targets[name])
            self.catalogs[name].change(targets[name])

    def refetch_secrets(self) -> None:
        """Secrets that are fetched and cached are fetched again for the next login."""
        for target in self.targets.values():
            for login in target.credentials:
                login.refused()

    def _retire(self, name: str) -> None:
        """No session finds it any more. Its servers stay until its last session is gone: they end it."""
        del self.targets[name]
        servers, catalog, watching = self.servers.pop(name), self.catalogs.pop(name), self._watching.pop(name)
        watching.cancel()
        task = asyncio.create_task(_retired(name, servers, catalog, watching))
        self._retiring[task] = servers
        task.add_done_callback(lambda done: self._retiring.pop(done, None))

    async def close_catalogs(self) -> None:
        async with AsyncExitStack() as stack:
            for catalog in self.catalogs.values():
                stack.push_async_callback(catalog.close)
            for watching in self._watching.values():
                watching.cancel()
            await asyncio.gather(*self._watching.values(), return_exceptions=True)

    async def close(self) -> None:
        """The sessions are over."""
        retiring = dict(self._retiring)
        for task in retiring:
            task.cancel()
        await asyncio.gather(*retiring, return_exceptions=True)
        async with AsyncExitStack() as stack:
            for servers in (*self.servers.values(), *retiring.values()):
                stack.push_async_callback(servers.close)


async def _retired(name: str, servers: Servers, catalog: CatalogCache, watching: asyncio.Task[None]) -> None:
    await asyncio.gather(watching, return_exceptions=True)
    await catalog.close()
    await servers.retire()
    _log.info("the former servers of connection %s are not connected to any more", name)
