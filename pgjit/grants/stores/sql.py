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
from pgjit.grants.stores.fleet_schema import window_nodes
from pgjit.grants.stores.fleet_sql import FleetSqlStore
from pgjit.grants.stores.lease_rows import usage_of
from pgjit.grants.stores.reviewed_sql import ReviewedSqlStore, granted
from pgjit.grants.stores.schema import (
    clock,
    journal_marks,
    outbox,
    to_micros,
    usages,
    windows,
)
from pgjit.grants.stores.search_sql import SearchSqlStore
from pgjit.grants.stores.sign_in_sql import SignInSqlStore
from pgjit.grants.stores.window_nodes import held_by_any, leave_window
from pgjit.grants.stores.window_rows import read_window, window_row
from pgjit.grants.usage import Usage
from pgjit.grants.window import Login, LoginAsk, Window
from pgjit.identity.directory import DirectoryAnswer, Principal
from pgjit.identity.identity import IdentityKey
from pgjit.policy.policy import Policy

__all__ = ["SqlStore"]

T = TypeVar("T")


class SqlStore(FleetSqlStore, ReviewedSqlStore, SignInSqlStore, SearchSqlStore):
    """`node`: whose journal takes the records of the changes that are made here."""

    def __init__(self, database: Database, *, node: str = "") -> None:
        self.node = node
        self._database = database
        self._noting = False

    @property
    def shared(self) -> bool:
        return self._database.shared

    @property
    def usable(self) -> bool:
        return self._database.usable

    async def open(self) -> None:
        await self._database.open()

    async def changes(self, seen: int) -> int:
        return await self._database.changes(seen)

    def on_message(self, receive: Callable[[str], None]) -> None:
        self._database.on_message(receive)

    async def send_message(self, text: str) -> None:
        await self._database.send_message(text)

    async def admit(
        self,
        identity: IdentityKey,
        policy: Policy,
        now: datetime,
        login: Login | None = None,
        note: str | None = None,
        ask: LoginAsk | None = None,
        sessions: int = 0,
    ) -> tuple[Window, bool]:
        joined = await self._joined(identity, policy, now, login)
        if joined is not None and (self._noting or not joined[1]):
            return joined[0], False
        if noting := joined is not None:
            self._noting = True  # one of many logins notes the moment for all
        try:
            # A refusal is committed too: the moment must be in the store, in case the clock is set back later.
            return granted(
                await self._transaction(
                    lambda connection: admission.admit(
                        connection, self.node, identity, policy, now, login, note, ask, sessions
                    )
                )
            )
        finally:
            if noting:
                self._noting = False

    async def _joined(
        self, identity: IdentityKey, policy: Policy, now: datetime, login: Login | None
    ) -> tuple[Window, bool] | None:
        """A login that joins a window of this node writes nothing, and waits for no other: many may come at once."""
        return await self._database.read(
            lambda connection: admission.joined(connection, self.node, identity, policy, now, login)
        )

    async def end(self, window_id: str, at: datetime, reason: str, note: str | None = None) -> bool:
        def work(connection: sa.Connection) -> bool:
            note_moment(connection, at)
            leave_window(connection, window_id, self.node)
            announce(connection)
            values = {"window": window_id, "at": to_micros(at), "reason": reason}
            if held_by_any(connection, window_id):
                connection.execute(_BEGIN_END, values)
                return False
            first = connection.execute(_END, values).rowcount == 1
            if note is not None and first:
                entry = {"window_id": window_id, "kind": "ended", "node": self.node, "note": note}
                connection.execute(sa.insert(outbox).values(entry))
            return first

        return await self._transaction(work)

    async def outbox(self) -> list[OutboxEntry]:
        return await self._transaction(
            lambda connection: [
                OutboxEntry(row.kind, read_window(row), row.note)
                for row in connection.execute(_OUTBOX, {"of_node": self.node})
            ]
        )

    async def recorded(self, window_id: str, kind: RecordKind) -> None:
        await self._transaction(
            lambda connection: connection.execute(
                sa.delete(outbox).where(outbox.c.window_id == window_id, outbox.c.kind == kind)
            )
        )

    async def usage(self, window_id: str) -> Usage:
        return await self._transaction(lambda connection: usage_of(connection, window_id))

    async def note_usage(self, window_id: str, used: Usage) -> None:
        values = {"rows": used.rows, "bytes": used.bytes, "statements": used.statements}
        grown = {name: larger(usages.c[name], value) for name, value in values.items()}

        def work(connection: sa.Connection) -> None:
            insert = upsert(connection, usages).values(window_id=window_id, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["window_id"], set_=grown))

        await self._transaction(work)

    async def unended(self, *, own: bool = False) -> list[Window]:
        query = _UNENDED
        if own:
            holders = sa.select(window_nodes.c.window_id)
            of_node = windows.c.id.in_(holders.where(window_nodes.c.node == self.node))
            query = query.where(sa.or_(of_node, windows.c.id.not_in(holders)))
        return await self._transaction(lambda connection: [read_window(row) for row in connection.execute(query)])

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

    async def backends(self, *, own: bool = False) -> list[KeptBackend]:
        return await self._transaction(lambda connection: kept_backends(connection, self.node if own else None))

    async def note_backends(self, begun: Sequence[KeptBackend], over: Collection[str]) -> None:
        await self._transaction(lambda connection: note_backends(connection, self.node, begun, over))

    async def clock_floor(self) -> datetime | None:
        return await self._transaction(latest_moment)

    async def close(self) -> None:
        await self._database.close()

    async def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._database.transaction(work)

    async def _read(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._database.read(work)


# Made once: SQLAlchemy caches what it compiles by the statement object.
_UNENDED = sa.select(windows).where(windows.c.ended_at.is_(None)).order_by(windows.c.seq)
_OUTBOX = (
    sa.select(windows, outbox.c.kind, outbox.c.note)
    .join(outbox, outbox.c.window_id == windows.c.id)
    .where(outbox.c.node == sa.bindparam("of_node"))
    .order_by(windows.c.seq, outbox.c.kind.desc())
)
_BEGIN_END = (
    sa.update(windows)
    .where(windows.c.id == sa.bindparam("window"), windows.c.ended_at.is_(None), windows.c.ending_at.is_(None))
    .values(ending_at=sa.bindparam("at"), ending_reason=sa.bindparam("reason"))
)
_END = (
    sa.update(windows)
    .where(windows.c.id == sa.bindparam("window"), windows.c.ended_at.is_(None))
    .values(ended_at=sa.bindparam("at"), end_reason=sa.bindparam("reason"), current=None)
)
