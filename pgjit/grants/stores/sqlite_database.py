"""A store's database on SQLite: a file that one process holds, whose transactions run one after the other.

Decides how durable transactions are and how long they wait. A transaction takes the write lock before it reads (BEGIN
IMMEDIATE), so that two logins at once open one window. A commit is on the disk before it returns (synchronous=FULL).
A schema of an earlier version is upgraded when the file is opened.

Transactions run in a thread of their own: the event loop waits for no disk, and a login costs one change of threads.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import URL, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from pgjit.errors import ServerUnavailable
from pgjit.grants.shielded import uninterrupted
from pgjit.grants.stores.changes import Changes
from pgjit.grants.stores.database import BUSY_SECONDS, BUSY_TEXT, POLL_SECONDS, run_work, unavailable
from pgjit.grants.stores.schema_versions import (
    check_known,
    head_version,
    pending_versions,
    schema_version,
    upgrade_schema,
)
from pgjit.grants.stores.store_file import StoreFile
from pgjit.grants.stores.store_state import StoreState

__all__ = ["SqliteDatabase", "check_file", "upgrade_file"]

_LOOK_AT_FILE = (
    "Check `store.path`: this account has to read and write the file and its folder, and one pgjit at a time uses it."
)

T = TypeVar("T")

_BEFORE_RELEASE = (
    "Start and stop the version that wrote it. Then move the file away: the journal restores the windows."
)
_READ_ONLY = {"mode": "ro", "uri": "true"}


class SqliteDatabase:
    """`shared`: see StoreFile."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.usable = False
        self.shared = shared
        self._file = StoreFile(path.absolute(), shared=shared)
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sa.Connection | None = None  # of that thread
        self._changes = Changes()

    async def open(self) -> None:
        if self._thread is not None:
            return
        thread = ThreadPoolExecutor(1, thread_name_prefix="window store")
        try:
            self._connection = await asyncio.get_running_loop().run_in_executor(thread, _connect, self._file)
        except (OSError, SQLAlchemyError, sqlite3.Error, ServerUnavailable) as error:
            thread.shutdown()
            self._file.release()
            if isinstance(error, ServerUnavailable):
                raise
            raise unavailable(error, _LOOK_AT_FILE) from error
        self._thread, self.usable = thread, True

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        return await self.transaction(work)

    async def transaction(self, work: Callable[[sa.Connection], T]) -> T:
        thread, connection = self._thread, self._connection
        if thread is None or connection is None:
            raise unavailable(OSError("It is not open."))
        latest = time.monotonic() + BUSY_SECONDS

        def transact() -> tuple[T, bool]:
            if time.monotonic() > latest:
                raise TimeoutError(BUSY_TEXT)
            self._file.check()
            with connection.begin():
                result = run_work(connection, work)
                self._file.check()  # a commit into a file that was removed grants nothing
            return result

        try:
            # A caller that is cancelled leaves only when it is known whether the transaction was committed.
            result, change = await uninterrupted(asyncio.get_running_loop().run_in_executor(thread, transact))
        except (OSError, SQLAlchemyError, sqlite3.Error) as error:
            self.usable = False
            raise unavailable(error) from error
        self.usable = True
        if change:
            self._changes.notify()
        return result

    async def changes(self, seen: int) -> int:
        return await self._changes.after(seen, POLL_SECONDS)

    def on_message(self, receive: Callable[[str], None]) -> None:
        """No other node has the file."""

    async def send_message(self, text: str) -> None:
        """No other node has the file."""

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        connection, self._connection = self._connection, None
        self.usable = False
        if thread is not None and connection is not None:
            await uninterrupted(asyncio.get_running_loop().run_in_executor(thread, _disconnect, connection))
            thread.shutdown()
            self._file.release()


def check_file(path: Path) -> StoreState:
    """Raises ServerUnavailable if pgjit could not use the file. Reads it alone: a running pgjit may hold it."""
    if not path.exists() and os.access(path.parent, os.W_OK):
        return StoreState(kind="sqlite", name=str(path), schema=None)
    if not os.access(path, os.R_OK | os.W_OK):
        raise unavailable(OSError(f"{path} cannot be read and written by this account"), _LOOK_AT_FILE)
    engine = sa.create_engine(URL.create("sqlite", database=f"file:{quote(str(path))}", query=_READ_ONLY))
    try:
        with engine.connect() as connection:
            version = schema_version(connection)
        check_known(str(path), version, before_release=_BEFORE_RELEASE)
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        raise unavailable(error, _LOOK_AT_FILE) from error
    finally:
        engine.dispose()
    return StoreState(kind="sqlite", name=str(path), schema=version)


def upgrade_file(path: Path) -> StoreState:
    """What a start does as well. Raises ServerUnavailable, also if a running pgjit holds the file."""
    file = StoreFile(path.absolute())
    try:
        file.take()
        made = _upgrade(path)
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        raise unavailable(error, _LOOK_AT_FILE) from error
    finally:
        file.release()
    return StoreState(kind="sqlite", name=str(path), schema=head_version(), made=tuple(made))


def _connect(file: StoreFile) -> sa.Connection:
    """A connection to the file, which has the current schema then. To be used by the thread that calls this."""
    file.take()
    _upgrade(file.path)
    return _engine(file.path).connect()


def _disconnect(connection: sa.Connection) -> None:
    connection.close()
    connection.engine.dispose()


def _upgrade(path: Path) -> list[str]:
    """The versions that were made. Raises ServerUnavailable for a schema that is not known."""
    engine = _engine(path)
    try:
        with engine.begin() as connection:  # a second process that opens the file waits here, and finds it done
            version = schema_version(connection)
            check_known(str(path), version, before_release=_BEFORE_RELEASE)
            made = pending_versions(version)
            if made:
                upgrade_schema(connection)
            return made
    finally:
        engine.dispose()


def _engine(path: Path) -> sa.Engine:
    """Durable commits, and transactions that take the write lock before they read."""

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own
        cursor = connection.cursor()
        # busy_timeout first: the switch to WAL may have to wait for another process.
        for pragma in (f"busy_timeout={BUSY_SECONDS * 1000:.0f}", "journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)), poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS}
    )
    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine
