"""A database to do anything with, and a policy that refuses nothing: for programs that are more than readers.

Decides what pgjit runs with there. The login role is the superuser, which no connection of a real server should have.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.clients import libpq_environment

__all__ = ["SCRATCH", "environment", "open_scratch", "serve_scratch"]

SCRATCH = "scratch"  # the database and the connection: psycopg2's tests compare the two
_GROUP = "33333333-3333-4333-8333-333333333333"
_ROLE = "postgres"

# Everything is passed on and recorded: what differs is how pgjit speaks, not what a policy refuses.
_POLICY = f"""\
policy: suite
connection: {SCRATCH}
group: {_GROUP}
grant: on-request
ttl: 30m
record: true
statements:
  access: full
"""


@contextmanager
def serve_scratch() -> Iterator[DemoDatabase]:
    """A server of its own, with two-phase commit, which takes a restart."""
    folder = Path(tempfile.mkdtemp(prefix="pgjit-ps-"))
    served = DemoDatabase()
    served.start(folder)
    try:
        asyncio.run(_prepare(served))
        _control(served, "-m", "fast", "restart")
        yield served
    finally:
        # What started it the first time does not know the process that it has been since.
        _control(served, "-m", "immediate", "stop")
        served.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _control(database: DemoDatabase, *arguments: str) -> None:
    data = database.log.parent
    subprocess.run(
        [str(database.bin_path / "pg_ctl"), "-D", str(data), "-w", "-s", *arguments],
        user=data.owner() if os.geteuid() == 0 else None, cwd="/", check=True, timeout=60,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


async def _prepare(database: DemoDatabase) -> None:
    connection = await asyncpg.connect(database.superuser_dsn)
    await connection.execute("ALTER SYSTEM SET max_prepared_transactions = 10")
    await connection.execute(f"CREATE DATABASE {SCRATCH} ENCODING 'UTF8' TEMPLATE template0")
    await connection.close()


def open_scratch(database: DemoDatabase, folder: Path) -> World:
    policies = folder / "policies-of-the-suite"
    policies.mkdir()
    (policies / "suite.yaml").write_text(_POLICY)
    secret = folder / "secret"
    secret.write_text("not asked for")
    place = {"host": str(database.socket_dir), "port": database.port, "database": SCRATCH, "user": _ROLE}
    config = {
        "connections": {SCRATCH: {**place, "password": {"file": str(secret)}}},
        "limits": {"statement_bytes": 4 * 1024 * 1024, "journal_bytes_per_second": 1 << 30},
    }
    return World(folder=folder, database=database, policies=policies, config=config)


async def environment(world: World | DemoDatabase) -> dict[str, str]:
    """What libpq reads: the way through pgjit, or straight to the server."""
    if isinstance(world, DemoDatabase):
        return {
            "PGHOST": str(world.socket_dir), "PGPORT": str(world.port), "PGDATABASE": SCRATCH, "PGUSER": _ROLE,
        }  # fmt: skip
    token = await world.token(world.emulator.add_app("one who may do anything", groups=[_GROUP]))
    return libpq_environment(world, "suite", SCRATCH, token=token)
