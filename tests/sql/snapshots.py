"""The stored catalog that the tests of names use. `python -m tests.sql.snapshots` makes it anew, from a server."""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from pgjit.demo.database import DemoDatabase
from pgjit.server.catalog_cache import CatalogCache
from pgjit.server.servers import Servers
from pgjit.server.target import Host, SslMode, Target
from pgjit.sql.catalog import Catalog

__all__ = [
    "FIXTURES",
    "STORED",
    "create_names",
    "read_snapshot",
    "read_target",
    "stored_catalog",
    "target_of",
    "trimmed",
]

FIXTURES = Path(__file__).parent.parent / "fixtures" / "catalog"
STORED = FIXTURES / "names.json"

# The system's own objects that the tests use: all of them would be a third of a megabyte.
_RELATIONS = {"pg_class", "pg_attribute", "pg_authid", "pg_roles", "pg_stats", "tables", "columns"}
_FUNCTIONS = {
    "_pg_expandarray", "abs", "array_agg", "avg", "bernoulli", "btrim", "concat", "count", "current_setting", "date",
    "extract", "generate_series", "int4", "json_each", "jsonb_each", "length", "like_escape", "lower", "max", "min",
    "name", "now", "percentile_cont", "pg_read_file", "pg_sleep", "row_number", "row_to_json", "set_config", "sum",
    "system", "text", "timezone", "to_json", "txid_current", "unnest", "upper",
}  # fmt: skip


def create_names(served: DemoDatabase) -> str:
    """A database with nothing but `schema.sql` in it: its DSN."""
    with psycopg.connect(served.superuser_dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE names ENCODING 'UTF8' TEMPLATE template0")
    dsn = served.superuser_dsn.replace(f"/{served.database}?", "/names?")
    with psycopg.connect(dsn) as connection:
        connection.execute((FIXTURES / "schema.sql").read_text("utf-8"))
    return dsn


def target_of(dsn: str, search_path: str = "public, sales") -> Target:
    parts = urlsplit(dsn)
    place = parse_qs(parts.query)
    return Target(
        name="names",
        hosts=(Host(place["host"][0], int(place["port"][0])),),
        database=parts.path.lstrip("/"),
        user="postgres",
        sslmode=SslMode.DISABLE,
        search_path=search_path,
    )


async def read_snapshot(dsn: str, search_path: str = "public, sales") -> Catalog:
    return await read_target(target_of(dsn, search_path))


async def read_target(target: Target) -> Catalog:
    servers = Servers(target)
    catalogs = CatalogCache(target, servers)
    try:
        return await catalogs.get()
    finally:
        await catalogs.close()
        await servers.close()


def stored_catalog() -> Catalog:
    return Catalog.from_json(STORED.read_bytes())


def trimmed(catalog: Catalog) -> Catalog:
    system = ("pg_catalog", "information_schema")
    relations = {
        schema: {name: value for name, value in names.items() if schema not in system or name in _RELATIONS}
        for schema, names in catalog.relations.items()
    }
    functions = {
        schema: {name: value for name, value in names.items() if schema not in system or name in _FUNCTIONS}
        for schema, names in catalog.functions.items()
    }
    return replace(catalog, relations=relations, functions=functions)


def _write() -> None:
    served = DemoDatabase()
    served.start(Path(tempfile.mkdtemp(prefix="pgjit-sql-")))
    try:
        catalog = trimmed(asyncio.run(read_snapshot(create_names(served))))
    finally:
        served.stop()
    text = json.dumps(json.loads(catalog.to_json()), indent=1, ensure_ascii=False)
    STORED.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
