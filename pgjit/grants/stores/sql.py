"""The window store in an SQL database: SQLite in a file of its own.

Keeps what lifecycle.py decided. Knows transactions and durability; does not know what a policy means.

One writer at a time: `admit` takes SQLite's write lock before it reads (BEGIN IMMEDIATE), so two connections
at once, of one process or of two, open one window. A commit is on the disk before it returns
(synchronous=FULL), so a window that someone was given survives a crash with its end.

All of it happens in one thread of its own, a transaction at a time: the event loop waits for no disk, and a login
costs one change of threads.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from pgjit.errors import ServerUnavailable
from pgjit.grants.due import Due, Kind
from pgjit.grants.lifecycle import Join, Open, OtherSource, Refused, TokenUsed, decide
from pgjit.grants.stores.schema import clock, due, from_micros, to_micros, usages, used_tokens, windows
from pgjit.grants.uninterrupted import uninterrupted
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, Window
from pgjit.identity.identity import IdentityKey
from pgjit.policy.policy import Policy

__all__ = ["SqlStore"]

_BUSY_SECONDS = 5
_SEEN_EVERY = timedelta(seconds=1)  # a join writes the time down at most this often: it costs an fsync
_KEPT_AFTER = timedelta(hours=1)  # more than any difference of clocks that is let pass
_MIGRATIONS = Path(__file__).parent / "migrations"

T = TypeVar("T")


class SqlStore:
    """`url` is `sqlite:///relative.sqlite3` or `sqlite:////absolute/path.sqlite3`."""

    def __init__(self, url: str) -> None:
        self._path = _path_of(url)
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sa.Connection | None = None  # of that thread

    async def open(self) -> None:
        if self._thread is not None:
            return
        thread = ThreadPoolExecutor(1, thread_name_prefix="window store")
        try:
            self._connection = await asyncio.get_running_loop().run_in_executor(thread, _connect, self._path)
        except (OSError, SQLAlchemyError, sqlite3.Error, CommandError) as error:
            thread.shutdown()
            raise _unavailable(error) from error
        self._thread = thread

    async def admit(
        self,
        identity: IdentityKey,
        policy: Policy,
        now: datetime,
        login: Login | None = None,
        note: str | None = None,
    ) -> tuple[Window, bool]:
        def work(connection: sa.Connection) -> tuple[Window, bool] | Refused | OtherSource | TokenUsed:
            return _admit(connection, identity, policy, now, login, note)

        admitted = await self._transaction(work)
        # A refusal was committed too: that this moment was seen must outlive a clock that is set back.
        if isinstance(admitted, Refused | OtherSource | TokenUsed):
            raise admitted.error()
        return admitted

    async def end(self, window_id: str, at: datetime, reason: str, note: str | None = None) -> bool:
        def work(connection: sa.Connection) -> bool:
            _remember(connection, at)
            values = {"window": window_id, "at": to_micros(at), "reason": reason}
            first = connection.execute(_END, values).rowcount == 1
            if note is not None and first:
                _is_due(connection, window_id, "ended", note)
            return first

        return await self._transaction(work)

    async def due(self) -> list[Due]:
        return await self._transaction(
            lambda connection: [Due(row.kind, _read(row), row.note) for row in connection.execute(_ALL_DUE)]
        )

    async def recorded(self, window_id: str, kind: Kind) -> None:
        await self._transaction(
            lambda connection: connection.execute(
                sa.delete(due).where(due.c.window_id == window_id, due.c.kind == kind)
            )
        )

    async def usage(self, window_id: str) -> Usage:
        def work(connection: sa.Connection) -> Usage:
            found = connection.execute(sa.select(usages).where(usages.c.window_id == window_id))
            row = found.mappings().one_or_none()
            return Usage() if row is None else Usage(row["rows"], row["bytes"], row["statements"])

        return await self._transaction(work)

    async def note_usage(self, window_id: str, used: Usage) -> None:
        values = {"rows": used.rows, "bytes": used.bytes, "statements": used.statements}
        statement = (
            insert(usages)
            .values(window_id=window_id, **values)
            .on_conflict_do_update(
                index_elements=["window_id"],
                set_={name: sa.func.max(usages.c[name], value) for name, value in values.items()},
            )
        )
        await self._transaction(lambda connection: connection.execute(statement))

    async def unended(self) -> list[Window]:
        return await self._transaction(lambda connection: [_read(row) for row in connection.execute(_UNENDED)])

    async def clock_floor(self) -> datetime | None:
        return await self._transaction(_seen)

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        connection, self._connection = self._connection, None
        if thread is not None and connection is not None:
            await uninterrupted(asyncio.get_running_loop().run_in_executor(thread, _disconnect, connection))
            thread.shutdown()

    async def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` gives. All of it is committed, or nothing is and ServerUnavailable is raised."""
        thread, connection = self._thread, self._connection
        if thread is None or connection is None:
            raise ServerUnavailable(
                "window store cannot be used", reference="store-unavailable", detail="It is not open."
            )
        latest = time.monotonic() + _BUSY_SECONDS

        def transact() -> T:
            if time.monotonic() > latest:
                raise TimeoutError("others have kept the window store busy for too long")
            with connection.begin():
                return work(connection)

        try:
            # Whoever stops waiting does so when it is known what has become of it.
            return await uninterrupted(asyncio.get_running_loop().run_in_executor(thread, transact))
        except (OSError, SQLAlchemyError, sqlite3.Error) as error:
            raise _unavailable(error) from error


def _admit(
    connection: sa.Connection,
    identity: IdentityKey,
    policy: Policy,
    now: datetime,
    login: Login | None,
    note: str | None,
) -> tuple[Window, bool] | Refused | OtherSource | TokenUsed:
    once = login if policy.identity.single_use_token else None
    seen = _seen(connection)
    used = once is not None and _is_used(connection, identity, policy.name, once)
    latest = _latest(connection, identity, policy.name)
    decision = decide(latest, policy, now, seen=seen, login=login, token_used=used)
    if once is not None and isinstance(decision, Join | Open):
        _use_up(connection, identity, policy.name, once, now)
    if not isinstance(decision, Join) or seen is None or now >= seen + _SEEN_EVERY:
        _remember(connection, now)
    if isinstance(decision, Join):
        return decision.window, False
    if not isinstance(decision, Open):
        return decision
    window = _window(decision, identity, policy, login)
    connection.execute(sa.insert(windows).values(_row(window)))
    if note is not None:
        _is_due(connection, window.id, "opened", note)
    return window, True


# Made once: what they are compiled to is found by the object.
_LATEST = (
    sa.select(windows)
    .where(
        windows.c.tid == sa.bindparam("holder_tid"),
        windows.c.oid == sa.bindparam("holder_oid"),
        windows.c.policy == sa.bindparam("under_policy"),
    )
    .order_by(windows.c.seq.desc())
    .limit(1)
)
_SEEN = sa.select(clock.c.seen_at)
_UNENDED = sa.select(windows).where(windows.c.ended_at.is_(None)).order_by(windows.c.seq)
_ALL_DUE = (
    sa.select(windows, due.c.kind, due.c.note)
    .join(due, due.c.window_id == windows.c.id)
    .order_by(windows.c.seq, due.c.kind.desc())
)
_END = (
    sa.update(windows)
    .where(windows.c.id == sa.bindparam("window"), windows.c.ended_at.is_(None))
    .values(ended_at=sa.bindparam("at"), end_reason=sa.bindparam("reason"))
)


def _latest(connection: sa.Connection, identity: IdentityKey, policy: str) -> Window | None:
    holder = {"holder_tid": identity.tid, "holder_oid": identity.oid, "under_policy": policy}
    row = connection.execute(_LATEST, holder).one_or_none()
    return None if row is None else _read(row)


def _is_used(connection: sa.Connection, identity: IdentityKey, policy: str, login: Login) -> bool:
    found = connection.execute(
        sa.select(used_tokens.c.used_at).where(
            used_tokens.c.tid == identity.tid,
            used_tokens.c.token_id == login.token_id,
            used_tokens.c.policy == policy,
        )
    )
    return found.first() is not None


def _use_up(connection: sa.Connection, identity: IdentityKey, policy: str, login: Login, now: datetime) -> None:
    """Remember it for as long as it could be shown again, and forget those that are long over."""
    connection.execute(sa.delete(used_tokens).where(used_tokens.c.keep_until < to_micros(now)))
    connection.execute(
        sa.insert(used_tokens).values(
            tid=identity.tid,
            token_id=login.token_id,
            policy=policy,
            used_at=to_micros(now),
            keep_until=to_micros(login.token_ends_at + _KEPT_AFTER),
        )
    )


def _is_due(connection: sa.Connection, window_id: str, kind: Kind, note: str) -> None:
    connection.execute(sa.insert(due).values(window_id=window_id, kind=kind, note=note))


def _seen(connection: sa.Connection) -> datetime | None:
    micros = connection.execute(_SEEN).scalar_one_or_none()
    return None if micros is None else from_micros(micros)


def _remember(connection: sa.Connection, moment: datetime) -> None:
    seen_at = to_micros(moment)
    connection.execute(
        insert(clock)
        .values(id=1, seen_at=seen_at)
        .on_conflict_do_update(index_elements=["id"], set_={"seen_at": seen_at}, where=clock.c.seen_at < seen_at)
    )


def _window(times: Open, identity: IdentityKey, policy: Policy, login: Login | None) -> Window:
    return Window(
        id=f"w_{uuid.uuid4().hex}",
        identity=identity,
        policy=policy.name,
        connection=policy.connection,
        opened_at=times.opened_at,
        ends_at=times.ends_at,
        retry_at=times.retry_at,
        source=None if login is None else login.source,
    )


def _read(row: sa.Row[Any]) -> Window:
    return Window(
        id=row.id,
        identity=IdentityKey(row.tid, row.oid),
        policy=row.policy,
        connection=row.connection,
        opened_at=from_micros(row.opened_at),
        ends_at=from_micros(row.ends_at),
        retry_at=from_micros(row.retry_at),
        ended_at=None if row.ended_at is None else from_micros(row.ended_at),
        end_reason=row.end_reason,
        source=row.source,
    )


def _row(window: Window) -> dict[str, str | int | None]:
    return {
        "id": window.id,
        "tid": window.identity.tid,
        "oid": window.identity.oid,
        "policy": window.policy,
        "connection": window.connection,
        "opened_at": to_micros(window.opened_at),
        "ends_at": to_micros(window.ends_at),
        "retry_at": to_micros(window.retry_at),
        "source": window.source,
    }


def _path_of(url: str) -> Path:
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


def _unavailable(error: BaseException) -> ServerUnavailable:
    cause = getattr(error, "orig", None) or error  # what the database said, without SQLAlchemy's page of text
    return ServerUnavailable(
        "window store cannot be used",
        reference="store-unavailable",
        detail=" ".join(str(cause).split()) or type(cause).__name__,
        hint="Nothing was granted. Try again later; the operators of this proxy have to look at its store.",
    )


def _connect(path: Path) -> sa.Connection:
    """To a file that is there and of today's schema, from the thread that this is called in."""
    _prepare(path)
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)), poolclass=NullPool, connect_args={"timeout": _BUSY_SECONDS}
    )
    _write_lock_first(engine)
    return engine.connect()


def _disconnect(connection: sa.Connection) -> None:
    connection.close()
    connection.engine.dispose()


def _prepare(path: Path) -> None:
    """Make the file, readable by nobody else, and bring its schema up to date. Blocks: runs in a thread."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)), poolclass=NullPool, connect_args={"timeout": _BUSY_SECONDS}
    )
    _write_lock_first(engine)
    try:
        with engine.begin() as connection:  # a second process that opens waits here and finds it done
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
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
        for pragma in (f"busy_timeout={_BUSY_SECONDS * 1000}", "journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
