"""The way to a SQLite store: which URLs name one, its schema brought up to date, durable transactions.

Decides how commits are made and who waits for whom. What is kept is sql.py's.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.store_file import StoreFile

__all__ = ["BUSY_SECONDS", "MIGRATIONS", "connect", "disconnect", "path_of"]

BUSY_SECONDS = 5
MIGRATIONS = Path(__file__).parent / "migrations"


def path_of(url: str) -> Path:
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise _bad_url("It does not read as a URL.") from error
    if parsed.drivername != "sqlite":
        raise _bad_url(f"It begins with `{parsed.drivername}`.")
    if parsed.host or parsed.username or parsed.query:
        raise _bad_url("It has a host, a user or parameters, which a file has not.")
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise _bad_url("It names no file, and windows must outlive the process that opened them.")
    return Path(parsed.database).absolute()


def _bad_url(detail: str) -> ServerUnavailable:
    return ServerUnavailable(
        "window store cannot be used",
        reference="store-unavailable",
        detail=f"Its URL is not one of a store. {detail}",
        hint="Write `sqlite:////var/lib/pgjit/windows.sqlite3`: four slashes begin an absolute path.",
    )


def connect(file: StoreFile) -> sa.Connection:
    """To a file that is there and of today's schema, from the thread that this is called in."""
    file.take()
    path = file.path
    _migrate(path)
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)), poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS}
    )
    _write_lock_first(engine)
    return engine.connect()


def disconnect(connection: sa.Connection) -> None:
    connection.close()
    connection.engine.dispose()


def _migrate(path: Path) -> None:
    """Bring the file's schema up to date. Blocks: runs in a thread."""
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)), poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS}
    )
    _write_lock_first(engine)
    try:
        with engine.begin() as connection:  # a second process that opens waits here and finds it done
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _write_lock_first(engine: sa.Engine) -> None:
    """Durable commits, and transactions that take the write lock before they read."""

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own
        cursor = connection.cursor()
        # busy_timeout first: the change to WAL may have to wait for another process.
        for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
