"""The oldest and the newest server that can be had here, each with a schema of the test's own.

Decides nothing about pgjit: the login role may read what the script grants to it.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from pgjit.sql.parse import read_message
from tests.e2e.loose import POLICY, Line, refusal
from tests.e2e.servers import serve
from tests.e2e.worlds import add_reader, open_world

__all__ = ["OLDEST_AND_NEWEST", "open_under", "serve_script", "verdicts"]

OLDEST_AND_NEWEST = ("installed", "embedded-18")


@contextmanager
def serve_script(name: str, *scripts: str) -> Iterator[DemoDatabase]:
    """A server with what the scripts make, run as its administrator."""
    folder = Path(tempfile.mkdtemp(prefix="pgjit-sv-"))  # short: the path of a Unix socket has a limit
    folder.chmod(0o755)
    try:
        with serve(name, folder) as database:
            for script in scripts:
                asyncio.run(_run(database, script))
            yield database
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(database: DemoDatabase, script: str) -> None:
    connection = await asyncpg.connect(database.superuser_dsn)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


def open_under(database: DemoDatabase, folder: Path, statements: str = "") -> World:
    """pgjit before it, under a policy with these lines in its statement section."""
    policy = POLICY.replace("  access: read-only\n", "") if "access:" in statements else POLICY
    policies = folder / "policies"
    policies.mkdir()
    (policies / "reader.yaml").write_text(policy + statements)
    return open_world(database, folder, policies=policies)


async def verdicts(world: World, statements: list[str]) -> dict[str, str]:
    """What becomes of each: `ran`, the rule that refused it, or the server's SQLSTATE. By both protocols."""
    line = await asyncio.to_thread(Line.through, world, await world.token(add_reader(world)))
    try:
        return {sql: await asyncio.to_thread(_verdict, line, sql) for sql in statements}
    finally:
        line.close()


def _verdict(line: Line, sql: str) -> str:
    ways = (line.simple,) if len(read_message(sql).statements) > 1 else (line.simple, line.extended)
    told = []
    for way in ways:
        results = way(sql)
        refused = refusal(results)
        failed = [state for result in results if (state := result.error_field(67))]
        told.append(refused[1].removeprefix("pgjit:") if refused else failed[0].decode() if failed else "ran")
        line.simple("ROLLBACK")
    return told[0] if len(set(told)) == 1 else " and ".join(told)
