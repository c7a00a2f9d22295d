"""Opening a SQLite store: which URLs name one, which schema it has, how durable its transactions are.

Decides which schema versions are accepted, how commits are made and how long to wait for a lock. What is kept is
decided in `sql.py`.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
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
        raise _bad_url("It is not a URL.") from error
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
        detail=f"Its URL does not name a store. {detail}",
        hint="Write `sqlite:////var/lib/pgjit/windows.sqlite3`: four slashes begin an absolute path.",
    )


def connect(file: StoreFile) -> sa.Connection:
    """A connection to the file, which has the current schema then. To be used by the thread that calls this."""
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
    """Bring the file's schema up to date. Blocks. Raises ServerUnavailable for a schema that is not known."""
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)), poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS}
    )
    _write_lock_first(engine)
    try:
        with engine.begin() as connection:  # a second process that opens the file waits here, and finds it done
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            _check_version(path, connection, ScriptDirectory.from_config(config))
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _check_version(path: Path, connection: sa.Connection, scripts: ScriptDirectory) -> None:
    version = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if version is None or version in known:
        return
    head = scripts.get_current_head()
    if re.fullmatch(r"000[1-7]", version):
        detail = f"{path} has schema version {version}, from before the first release; this pgjit reads {head}."
        hint = "Start and stop the version that wrote it. Then move the file away: the journal restores the windows."
    else:
        detail = f"{path} has schema version {version}, which this pgjit does not know; it reads {head}."
        hint = "Start the version of pgjit that wrote the file, or a later one."
    raise ServerUnavailable(
        "window store cannot be used", reference="store-version-unknown", detail=detail, hint=hint
    )


def _write_lock_first(engine: sa.Engine) -> None:
    """Durable commits, and transactions that take the write lock before they read."""

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own
        cursor = connection.cursor()
        # busy_timeout first: the switch to WAL may have to wait for another process.
        for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
