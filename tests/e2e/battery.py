"""What an agent that analyses a database asks: a line for each statement, and the database that it is asked of.

Decides what the lines mean and what is in the database: `battery.sql`, and those extensions that the server has.
"""

from __future__ import annotations

from pathlib import Path

import asyncpg

from pgjit.demo.database import DemoDatabase
from tests.e2e.everyday import FIXTURES, extensions_of
from tests.e2e.worlds import READERS

__all__ = ["EXTENSIONS", "OPENED", "prepare_battery", "write_policy"]

EXTENSIONS = (
    "adminpack", "amcheck", "btree_gin", "btree_gist", "citext", "cube", "dblink", "earthdistance", "fuzzystrmatch",
    "hstore", "intagg", "intarray", "isn", "lo", "ltree", "pageinspect", "pg_buffercache", "pg_freespacemap",
    "pg_prewarm", "pg_stat_statements", "pg_surgery", "pg_trgm", "pg_visibility", "pg_walinspect", "pgcrypto",
    "pgrowlocks", "pgstattuple", "postgres_fdw", "seg", "sslinfo", "tablefunc", "tsm_system_rows", "tsm_system_time",
    "unaccent", "uuid-ossp", "vector", "xml2",
)  # fmt: skip
OPENED = (
    "citext", "cube", "dblink", "earthdistance", "fuzzystrmatch", "hstore", "intarray", "isn", "ltree",
    "pg_buffercache", "pg_stat_statements", "pg_trgm", "pgcrypto", "pgstattuple", "seg", "tablefunc",
    "tsm_system_rows", "unaccent", "uuid-ossp", "vector", "xml2",
)  # fmt: skip
"""Those that the policy names. Of `dblink`, `tablefunc` and `pgstattuple` that opens little or nothing."""


async def prepare_battery(database: DemoDatabase) -> None:
    connection = await asyncpg.connect(database.superuser_dsn)
    try:
        available = await extensions_of(database)
        for name in EXTENSIONS:
            if name in available:
                await connection.execute(
                    f'CREATE EXTENSION IF NOT EXISTS "{name}" SCHEMA public CASCADE'
                    if name != "adminpack"
                    else "CREATE EXTENSION adminpack"
                )
        await connection.execute((FIXTURES / "battery.sql").read_text("utf-8"))
        if "citext" in available:
            await connection.execute("ALTER TABLE sales.docs ALTER code TYPE citext")
        if "vector" in available:
            await connection.execute("ALTER TABLE sales.docs ADD emb vector(3)")
            await connection.execute("UPDATE sales.docs SET emb = ARRAY[id, 2, 3]::vector")
        for schema in ("sales", "sales_new", "public"):
            await connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {database.user}")
            for objects in ("TABLES", "SEQUENCES"):
                await connection.execute(f"GRANT SELECT ON ALL {objects} IN SCHEMA {schema} TO {database.user}")
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


def write_policy(folder: Path) -> Path:
    """Reading, and the extensions."""
    policies = folder / "reading"
    policies.mkdir()
    (policies / "reader.yaml").write_text(
        f"policy: reader\nconnection: prod-replica\ngroup: {READERS}\ngrant: on-request\nttl: 30m\nrecord: true\n"
        f"statements:\n  access: read-only\n  allow:\n    - extensions: [{', '.join(OPENED)}]\n"
        "    - functions: [sales.fiscal_year]\n"
    )
    return policies
