"""A server's catalog is read once for all worlds of a process, as long as its change stamp stays the same.

Each test has a proxy of its own, and most leave the server's catalog alone: reading it again was nearly half of what
such a test costs. Each proxy still reads the stamp, and any change of the catalog makes it read everything, as in
service. Tests of the reading itself read anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pgjit.server.catalog_cache import CatalogCache
from pgjit.server.catalog_queries import CHANGE_STAMP, SERVER_FACTS
from pgjit.server.catalog_secrets import find_secrets
from pgjit.server.link import Link
from pgjit.server.simple_query import run_query
from pgjit.sql.catalog import Catalog

__all__ = ["READ_ANEW", "reading_once"]

# Tests of when and how a catalog is read, of what that costs, and of what it holds.
READ_ANEW = {
    "test_catalog_being_read.py", "test_denied_through_catalogs.py", "test_large_server.py",
    "test_login_cost.py", "test_moving_address.py", "test_secrets_in_catalogs.py",
}  # fmt: skip

# Which server and database it is; and the memberships of roles, which the stamp leaves out.
_SERVER = """
    SELECT pg_postmaster_start_time()::text, current_setting('port'),
           (SELECT oid FROM pg_database WHERE datname = current_database()),
           (SELECT concat_ws(' ', count(*), sum(xmin::text::bigint), sum(roleid::bigint)) FROM pg_auth_members)
"""
_MOST = 20

Reading = Callable[[CatalogCache, Link], Awaitable[Catalog]]


def reading_once(read: Reading) -> Reading:
    """`CatalogCache._read_if_changed` for the tests of this process; `read` is the real one."""
    kept: dict[str, tuple[Catalog, str]] = {}

    async def read_if_changed(cache: CatalogCache, link: Link) -> Catalog:
        if cache.latest is not None:
            return await read(cache, link)
        server = [await run_query(link, query) for query in (_SERVER, SERVER_FACTS, CHANGE_STAMP)]
        key = repr((server, await find_secrets(link), cache._target.search_path))
        if key in kept:
            cache.latest, cache._stamp = kept[key]
            return cache.latest
        catalog = await read(cache, link)
        while len(kept) >= _MOST:
            del kept[next(iter(kept))]
        kept[key] = catalog, cache._stamp
        return catalog

    return read_if_changed
