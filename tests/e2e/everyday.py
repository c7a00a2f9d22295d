"""A small shop with enums, domains, partitions and views, for what people ask of a database every day.

Decides what is there and who logs in: a role with the rights to read, as a connection of a real server should have.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path

import asyncpg
import yaml

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.loose import POLICY
from tests.e2e.servers import serve_prepared
from tests.e2e.worlds import open_world

__all__ = ["FIXTURES", "direct_conninfo", "extensions_of", "open_everyday", "prepare_everyday", "serve_everyday"]

FIXTURES = Path(__file__).parents[1] / "fixtures" / "everyday"
_EXTENSION = re.compile(r"CREATE EXTENSION IF NOT EXISTS (\w+);\n")


def serve_everyday() -> AbstractContextManager[DemoDatabase]:
    """An installed server where there is one: it comes with extensions."""
    return serve_prepared("pgjit-ev-", prepare_everyday)


async def prepare_everyday(database: DemoDatabase) -> None:
    connection = await asyncpg.connect(database.superuser_dsn)
    script = (FIXTURES / "schema.sql").read_text("utf-8")
    if not set(_EXTENSION.findall(script)) <= await extensions_of(database):
        script = _EXTENSION.sub("", script).replace("(name citext, more hstore)", "(name text)")
    await connection.execute(script)
    for schema in ("app", "public"):
        await connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {database.user}")
        for objects in ("TABLES", "SEQUENCES"):
            await connection.execute(f"GRANT SELECT ON ALL {objects} IN SCHEMA {schema} TO {database.user}")
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()


async def extensions_of(database: DemoDatabase) -> set[str]:
    """Those that can be had there."""
    connection = await asyncpg.connect(database.superuser_dsn)
    try:
        return {row[0] for row in await connection.fetch("SELECT name FROM pg_available_extensions")}
    finally:
        await connection.close()


def open_everyday(database: DemoDatabase, folder: Path, **section: object) -> World:
    """pgjit before it, with a policy that says no more than `access: read-only` and `section` of statements."""
    policies = folder / "only-reading"
    policies.mkdir()
    document = yaml.safe_load(POLICY)
    document["statements"].update(section)
    (policies / "reader.yaml").write_text(yaml.safe_dump(document))
    return open_world(database, folder, policies=policies)


def direct_conninfo(database: DemoDatabase) -> str:
    """The same login, past pgjit."""
    place = f"host={database.socket_dir} port={database.port} dbname={database.database}"
    return f"{place} user={database.user} password={database.password}"
