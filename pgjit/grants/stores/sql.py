"""The window store in an SQL database: SQLite in a file of its own.

Keeps what lifecycle.py decides. Knows transactions and durability; does not know what a policy means.

One writer at a time: a transaction takes SQLite's write lock before it reads (BEGIN IMMEDIATE), so that two logins at
once, in one process or in two, open one window. A commit is on the disk before it returns (synchronous=FULL), so that
a granted window and its end survive a crash.

Transactions run one after the other in a thread of their own: the event loop waits for no disk, and a login costs one
change of threads.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from pgjit.errors import ServerUnavailable
from pgjit.grants.journal_mark import JournalMark
from pgjit.grants.kept_backend import KeptBackend
from pgjit.grants.outbox import OutboxEntry, RecordKind
from pgjit.grants.shielded import uninterrupted
from pgjit.grants.stores import admission, denied_principals
from pgjit.grants.stores.backends import kept_backends, note_backends
from pgjit.grants.stores.clock_floor import latest_moment, note_moment
from pgjit.grants.stores.reviewed_sql import ReviewedSqlStore, granted
from pgjit.grants.stores.schema import (
    clock,
    journal_marks,
    outbox,
    to_micros,
    usages,
    windows,
)
from pgjit.grants.stores.sqlite_connection import BUSY_SECONDS, connect, disconnect, path_of
from pgjit.grants.stores.store_file import StoreFile
from pgjit.grants.stores.window_rows import read_window, window_row
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, LoginAsk, Window
from pgjit.identity.directory import DirectoryAnswer, Principal
from pgjit.identity.identity import IdentityKey
from pgjit.policy.policy import Policy

__all__ = ["SqlStore"]

T = TypeVar("T")


class SqlStore(ReviewedSqlStore):
    """`url` is `sqlite:///relative.sqlite3` or `sqlite:////absolute/path.sqlite3`. `shared`: see StoreFile."""

    def __init__(self, url: str, *, shared: bool = False, node: str = "") -> None:
        self.node = node
        self._file = StoreFile(path_of(url), shared=shared)
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sa.Connection | None = None  # of that thread

    async def open(self) -> None:
        if self._thread is not None:
            return
        thread = ThreadPoolExecutor(1, thread_name_prefix="window store")
        try:
            self._connection = await asyncio.get_running_loop().run_in_executor(thread, connect, self._file)
        except (OSError, SQLAlchemyError, sqlite3.Error, CommandError, ServerUnavailable) as error:
            thread.shutdown()
            self._file.release()
            if isinstance(error, ServerUnavailable):
                raise
            raise _unavailable(error) from error
        self._thread = thread

    async def admit(
        self,
        identity: IdentityKey,
        policy: Policy,
        now: datetime,
        login: Login | None = None,
        note: str | None = None,
        ask: LoginAsk | None = None,
    ) -> tuple[Window, bool]:
        # A refusal was committed too: the moment must be in the store, in case the clock is set back later.
        return granted(
            await self._transaction(
                lambda connection: admission.admit(connection, self.node, identity, policy, now, login, note, ask)
            )
        )

    async def end(self, window_id: str, at: datetime, reason: str, note: str | None = None) -> bool:
        def work(connection: sa.Connection) -> bool:
            note_moment(connection, at)
            values = {"window": window_id, "at": to_micros(at), "reason": reason}
            first = connection.execute(_END, values).rowcount == 1
            if note is not None and first:
                _add_to_outbox(connection, window_id, "ended", note)
            return first

        return await self._transaction(work)

    async def outbox(self) -> list[OutboxEntry]:
        return await self._transaction(
            lambda connection: [
                OutboxEntry(row.kind, read_window(row), row.note) for row in connection.execute(_OUTBOX)
            ]
        )

    async def recorded(self, window_id: str, kind: RecordKind) -> None:
        await self._transaction(
            lambda connection: connection.execute(
                sa.delete(outbox).where(outbox.c.window_id == window_id, outbox.c.kind == kind)
            )
        )

    async def usage(self, window_id: str) -> Usage:
        def work(connection: sa.Connection) -> Usage:
            rows = connection.execute(sa.select(usages).where(usages.c.window_id == window_id))
            row = rows.mappings().one_or_none()
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
        return await self._transaction(lambda connection: [read_window(row) for row in connection.execute(_UNENDED)])

    async def known(self, window_ids: Collection[str]) -> dict[str, Window]:
        query = sa.select(windows).where(windows.c.id.in_(list(window_ids)))
        return await self._transaction(
            lambda connection: {row.id: read_window(row) for row in connection.execute(query)}
        )

    async def restore(self, lost: Sequence[Window], now: datetime) -> None:
        def work(connection: sa.Connection) -> None:
            for window in lost:
                ended = None if window.ended_at is None else to_micros(window.ended_at)
                row = {**window_row(window), "ended_at": ended, "end_reason": window.end_reason}
                connection.execute(sa.insert(windows).values(row))
            note_moment(connection, now)
            connection.execute(sa.update(clock).values(tokens_from=to_micros(now)))

        await self._transaction(work)

    async def journal_mark(self, journal: str) -> JournalMark | None:
        def work(connection: sa.Connection) -> JournalMark | None:
            row = connection.execute(sa.select(journal_marks).where(journal_marks.c.journal == journal)).one_or_none()
            return None if row is None else JournalMark(row.seq, row.sha256)

        return await self._transaction(work)

    async def note_journal_mark(self, journal: str, mark: JournalMark) -> None:
        values = {"seq": mark.seq, "sha256": mark.sha256}
        statement = (
            insert(journal_marks)
            .values(journal=journal, **values)
            .on_conflict_do_update(index_elements=["journal"], set_=values)
        )
        await self._transaction(lambda connection: connection.execute(statement))

    async def keep_denial(self, principal: Principal, answer: DirectoryAnswer, until: datetime) -> None:
        await self._transaction(lambda connection: denied_principals.keep(connection, principal, answer, until))

    async def drop_denial(self, principal: Principal) -> None:
        await self._transaction(lambda connection: denied_principals.drop(connection, principal))

    async def denials(self, now: datetime) -> list[tuple[Principal, DirectoryAnswer]]:
        return await self._transaction(lambda connection: denied_principals.kept(connection, now))

    async def backends(self) -> list[KeptBackend]:
        return await self._transaction(kept_backends)

    async def note_backends(self, begun: Sequence[KeptBackend], over: Collection[str]) -> None:
        await self._transaction(lambda connection: note_backends(connection, begun, over))

    async def clock_floor(self) -> datetime | None:
        return await self._transaction(latest_moment)

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        connection, self._connection = self._connection, None
        if thread is not None and connection is not None:
            await uninterrupted(asyncio.get_running_loop().run_in_executor(thread, disconnect, connection))
            thread.shutdown()
            self._file.release()

    async def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        """The result of `work`. All of it is committed; or nothing is, and ServerUnavailable is raised."""
        thread, connection = self._thread, self._connection
        if thread is None or connection is None:
            raise ServerUnavailable(
                "window store cannot be used", reference="store-unavailable", detail="It is not open."
            )
        latest = time.monotonic() + BUSY_SECONDS

        def transact() -> T:
            if time.monotonic() > latest:
                raise TimeoutError("other transactions kept the window store busy for too long")
            self._file.check()
            with connection.begin():
                result = work(connection)
                self._file.check()  # a commit into a file that was removed grants nothing
            return result

        try:
            # A caller that is cancelled leaves only when it is known whether the transaction was committed.
            return await uninterrupted(asyncio.get_running_loop().run_in_executor(thread, transact))
        except (OSError, SQLAlchemyError, sqlite3.Error) as error:
            raise _unavailable(error) from error


# Made once: SQLAlchemy caches what it compiles by the statement object.
_UNENDED = sa.select(windows).where(windows.c.ended_at.is_(None)).order_by(windows.c.seq)
_OUTBOX = (
    sa.select(windows, outbox.c.kind, outbox.c.note)
    .join(outbox, outbox.c.window_id == windows.c.id)
    .order_by(windows.c.seq, outbox.c.kind.desc())
)
_END = (
    sa.update(windows)
    .where(windows.c.id == sa.bindparam("window"), windows.c.ended_at.is_(None))
    .values(ended_at=sa.bindparam("at"), end_reason=sa.bindparam("reason"), current=None)
)


def _add_to_outbox(connection: sa.Connection, window_id: str, kind: RecordKind, note: str) -> None:
    connection.execute(sa.insert(outbox).values(window_id=window_id, kind=kind, note=note))


def _unavailable(error: BaseException) -> ServerUnavailable:
    cause = getattr(error, "orig", None) or error  # the database's own message, without SQLAlchemy's page of text
    return ServerUnavailable(
        "window store cannot be used",
        reference="store-unavailable",
        detail=" ".join(str(cause).split()) or type(cause).__name__,
        hint="Nothing was granted. Try again later; the operators of this proxy have to look at its store.",
    )
