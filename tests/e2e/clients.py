"""Real clients, each as an agent would use it: psql, psycopg 3 and asyncpg, through TLS with a token."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass

import asyncpg
import psycopg

from pgjit.demo.world import World

__all__ = ["Said", "connect_asyncpg", "connect_psycopg", "libpq_environment", "psql"]


@dataclass(frozen=True)
class Said:
    out: str
    err: str
    status: int


def libpq_environment(
    world: World, policy: str, connection: str = "prod-replica", *, token: str | None = None
) -> dict[str, str]:
    """The way through pgjit, in the variables that libpq and many drivers read."""
    place = {
        "PGHOST": "localhost", "PGPORT": str(world.app.port), "PGDATABASE": connection, "PGUSER": policy,
        "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(world.certificates.authority),
    }  # fmt: skip
    return place if token is None else place | {"PGPASSWORD": token}


async def psql(
    world: World,
    token: str,
    policy: str,
    *commands: str,
    connection: str = "prod-replica",
    options: str = "-c pgjit.notices=off",
) -> Said:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    arguments = [part for command in commands for part in ("-c", command)]
    process = await asyncio.create_subprocess_exec(
        str(world.psql), "-X", "-At", "-v", "VERBOSITY=verbose", *arguments,
        world.conninfo(policy, connection),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment | {"PGPASSWORD": token, "PGCONNECT_TIMEOUT": "15", "PGOPTIONS": options},
    )  # fmt: skip
    out, err = await process.communicate()
    return Said(out.decode(), err.decode(), process.returncode or 0)


async def connect_psycopg(
    world: World, token: str, policy: str, connection: str = "prod-replica", options: str = ""
) -> psycopg.AsyncConnection[tuple[object, ...]]:
    """psycopg 3: parameters are bound on the server."""
    return await psycopg.AsyncConnection.connect(
        world.conninfo(policy, connection), password=token, autocommit=True, options=options
    )


async def connect_asyncpg(
    world: World, token: str, policy: str, connection: str = "prod-replica", *,
    options: str = "", settings: dict[str, str] | None = None,
) -> asyncpg.Connection:  # fmt: skip
    context = ssl.create_default_context(cafile=str(world.certificates.authority))
    return await asyncpg.connect(
        host="localhost",
        port=world.app.port,
        user=policy,
        database=connection,
        password=token,
        ssl=context,
        server_settings={"options": options, **(settings or {})},
    )
