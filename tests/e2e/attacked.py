"""A server of its own for attacks on what ends sessions: its roles may be bent, and are put right afterwards.

Decides who logs in: `pgjit_writer`, which is no superuser and may change its own role, and `pgjit_control`, a login
for control connections. The end of a window is the test's to say: `Ahead` is a clock that is set forward.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import psutil

from pgjit.clock import Clock
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.worlds import Record, ask, change, open_world, records
from tests.run.waiting import until, until_it_holds

__all__ = [
    "CONTROL",
    "Ahead",
    "attack",
    "control_server",
    "ended",
    "open_attacked",
    "restore",
    "serve_attacked",
    "until",
]

CONTROL = "pgjit_control"
_SECRET = "control-secret"
_PREPARE = f"""
CREATE ROLE {CONTROL} LOGIN NOSUPERUSER PASSWORD '{_SECRET}';
GRANT pg_signal_backend, pg_read_all_stats TO {CONTROL};
GRANT CONNECT ON DATABASE shop TO {CONTROL};
"""
_BELTS = (
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET idle_session_timeout = 0",
    "SET client_connection_check_interval = 0",
)


class Ahead(Clock):
    """The time, and what was added to it."""

    def __init__(self) -> None:
        self._added = timedelta()
        steady = Clock().steady
        super().__init__(
            wall=lambda: datetime.now(UTC) + self._added,
            steady=lambda: steady() + self._added.total_seconds(),
        )

    def add(self, length: timedelta) -> None:
        self._added += length


@contextmanager
def serve_attacked(version: int = 18) -> Iterator[DemoDatabase]:
    folder = Path(tempfile.mkdtemp(prefix="pgjit-attacked-"))
    folder.chmod(0o755)
    database = DemoDatabase()
    started = ""
    try:
        database.start(folder, version)
        hba = next(folder.glob("*/pg_hba.conf"), None) or next(folder.rglob("pg_hba.conf"))
        hba.write_text(f"local all {CONTROL} scram-sha-256\n" + hba.read_text())
        database._psql(database.database, _PREPARE + "SELECT pg_reload_conf();")
        started = _process(database)
        yield database
    finally:
        if database.log.exists() and _process(database) not in ("", started):
            # What started it the first time does not know the process that it has been since.
            control_server(database, "-m", "immediate", "stop")
        with suppress(psutil.NoSuchProcess):
            database.stop()  # it looks for the process that was stopped just now
        shutil.rmtree(folder, ignore_errors=True)


def _process(database: DemoDatabase) -> str:
    """The id of the process that it is now; empty where it does not run."""
    file = database.log.parent / "postmaster.pid"
    return file.read_text().split("\n", 1)[0] if file.exists() else ""


def control_server(database: DemoDatabase, *arguments: str) -> None:
    """Run pg_ctl on it."""
    data = database.log.parent
    subprocess.run(
        [str(database.bin_path / "pg_ctl"), "-D", str(data), "-w", "-s", *arguments],
        user=data.owner() if os.geteuid() == 0 else None, cwd="/", check=True, timeout=60,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


async def restore(database: DemoDatabase) -> None:
    """The login role as it was, and nothing of it left."""
    await change(
        database,
        f"ALTER ROLE {database.writer} LOGIN PASSWORD '{database.writer_password}';"
        f"ALTER ROLE {database.writer} RESET ALL;"
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{database.writer}';"
        f"TRUNCATE {database.writable};",
    )


def open_attacked(
    database: DemoDatabase, folder: Path, *, own_login: bool, place: Mapping[str, object] | None = None
) -> World:
    """`own_login`: the control connections have one; `place`: where the server is reached."""
    for name, secret in (("writer", database.writer_password), ("control", _SECRET)):
        (folder / f"{name}-login").write_text(secret)
    reached = place or {"host": str(database.socket_dir), "port": database.port}
    (folder / "reader-login").write_text(database.password)
    writing: dict[str, object] = {**reached, "database": database.database, "user": database.writer}
    reading = {**writing, "user": database.user, "password": {"file": str(folder / "reader-login")}}
    writing["password"] = {"file": str(folder / "writer-login")}
    if own_login:
        writing["control"] = {"user": CONTROL, "password": {"file": str(folder / "control-login")}}
    return open_world(database, folder, config={"connections": {"write-target": writing, "prod-replica": reading}})


KILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = current_user"
)
LOCK_OUT = "ALTER ROLE CURRENT_USER PASSWORD 'x'"


async def guarded(database: DemoDatabase) -> None:
    """Return when both control connections are there."""
    both = "SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name = 'pgjit control' AND state = 'idle'"
    await until_it_holds(lambda: ask(database, both))


@asynccontextmanager
async def all_slots_taken(database: DemoDatabase) -> AsyncIterator[None]:
    """Others have every connection that the server has for those who are no superusers."""
    async with AsyncExitStack() as stack:
        while True:
            try:
                taken = await asyncpg.connect(
                    host=str(database.socket_dir), port=database.port, database=database.database,
                    user=CONTROL, password=_SECRET,
                )  # fmt: skip
            except asyncpg.TooManyConnectionsError:
                break
            stack.push_async_callback(taken.close)
        yield


def attack(*steps: str, first: str = "") -> list[str]:
    """The belts off, then the steps, then a loop that no cancel request ends and that commits all the time.

    `first` runs in the same statement as the loop, before it.
    """
    killed = f"PERFORM count(*) FROM ({first}) AS done;" if first else ""
    loop = f"""DO $$ BEGIN
        {killed}
        LOOP
            BEGIN PERFORM pg_sleep(0.01); EXCEPTION WHEN query_canceled THEN NULL; END;
            INSERT INTO notes (note) VALUES ('beyond');
            COMMIT;
        END LOOP;
    END $$"""
    return [*_BELTS, *steps, loop]


async def ended(world: World) -> Record:
    """The record of the one session's end, once the window's is there too."""
    await until(lambda: bool(records(world, "window.ended")))
    [found] = records(world, "session.ended")
    types = [record["type"] for record in records(world)]
    assert types.index("session.ended") < types.index("window.ended"), "a window ends when its sessions have"
    return found
