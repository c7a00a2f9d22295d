"""The window store in an SQL database: each method is one transaction of a work function.

Keeps what lifecycle.py decides. Does not know what a policy means, nor which database it is: `database.py` has the
contract, `sqlite_database.py` and `postgres_database.py` carry it out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from pgjit.grants.journal_mark import JournalMark
from pgjit.grants.kept_backend import KeptBackend
from pgjit.grants.outbox import OutboxEntry, RecordKind
from pgjit.grants.stores import admission, denied_principals
from pgjit.grants.stores.backends import kept_backends, note_backends
from pgjit.grants.stores.clock_floor import latest_moment, note_moment
from pgjit.grants.stores.database import Database, announce, larger, upsert
from pgjit.grants.stores.reviewed_sql import ReviewedSqlStore, granted
from pgjit.grants.stores.schema import (
    clock,
    journal_marks,
    outbox,
    to_micros,
    usages,
    windows,
)
from pgjit.grants.stores.window_rows import read_window, window_row
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, LoginAsk, Window
from pgjit.identity.directory import DirectoryAnswer, Principal
from pgjit.identity.identity import IdentityKey
from pgjit.policy.policy import Policy

__all__ = ["SqlStore"]

T = TypeVar("T")


class SqlStore(ReviewedSqlStore):
    """`node`: whose journal takes the records of the changes that are made here."""

    def __init__(self, database: Database, *, node: str = "") -> None:
        self.node = node
        self._database = database

    @property
    def usable(self) -> bool:
        return self._database.usable

    async def open(self) -> None:
        await self._database.open()

    async def changes(self, seen: int) -> int:
        return await self._database.changes(seen)

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
            announce(connection)
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
        grown = {name: larger(usages.c[name], value) for name, value in values.items()}

        def work(connection: sa.Connection) -> None:
            insert = upsert(connection, usages).values(window_id=window_id, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["window_id"], set_=grown))

        await self._transaction(work)

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

        def work(connection: sa.Connection) -> None:
            insert = upsert(connection, journal_marks).values(journal=journal, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["journal"], set_=values))

        await self._transaction(work)

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
        await self._database.close()

    async def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._database.transaction(work)


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
