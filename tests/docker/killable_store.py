"""A PostgreSQL server for the nodes' store, apart from the one that they guard: it can be killed and restarted."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

from pgjit.demo.database import DemoDatabase
from tests.fakes.store_server import StoreServer
from tests.run.waiting import until

__all__ = ["KillableStore", "killable_store"]

_SECONDS = 120


class KillableStore(StoreServer):
    def __init__(self, database: DemoDatabase) -> None:
        super().__init__(database)
        self._data = database.log.parent
        self._programs = database.bin_path
        self._killed = False

    def window_ends(self) -> dict[str, int]:
        """The end of each window, in microseconds since 1970, by its id."""
        return dict(self.execute("SELECT id, ends_at FROM windows"))

    async def kill(self) -> None:
        """Every process of the server, before any of them can do something about it."""
        self._killed = True
        postmaster = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        postmaster.suspend()  # it starts no more
        processes = [postmaster, *postmaster.children(recursive=True)]
        for each in processes:
            each.kill()
        await until(lambda: not any(map(_runs, processes)))

    def start(self) -> None:
        """Start it with the options that it had; returns when it is ready again."""
        self._control("-l", str(self._data / "log"), "-w", "-t", str(_SECONDS), "restart")

    def stop(self) -> None:
        """The one that `start` has started, which nobody else knows."""
        if self._killed:
            with suppress(subprocess.CalledProcessError):  # it was not started again
                self._control("-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / "pg_ctl"), "-D", str(self._data), "-s", *arguments],
            user=self._data.owner() if os.geteuid() == 0 else None, cwd="/", check=True, timeout=2 * _SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


@asynccontextmanager
async def killable_store() -> AsyncIterator[KillableStore]:
    """A store with the current schema, and nothing in it."""
    folder = Path(tempfile.mkdtemp(prefix="pgjit-store-"))
    database = DemoDatabase()
    try:
        await asyncio.to_thread(database.start, folder)
        store = KillableStore(database)
        try:
            await store.make()
            yield store
        finally:
            await asyncio.to_thread(store.stop)
            await asyncio.to_thread(database.stop)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _runs(process: psutil.Process) -> bool:
    """One that nobody has waited for runs no more."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
