"""The contract of a database that keeps a store: it runs work in transactions. And the SQL that differs by database.

**Work** is a plain function of a `sa.Connection`. It reads, decides and writes; the database commits all of it or
nothing. Transactions run one after the other, on all nodes: work may decide from what it read, and need not lock. A
database may run work again if the connection was lost before the commit, so work changes nothing but the database.

Work whose result others have to act on, on this node or on another, calls `announce`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pgjit.errors import ServerUnavailable

__all__ = [
    "BUSY_SECONDS",
    "BUSY_TEXT",
    "POLL_SECONDS",
    "Database",
    "announce",
    "larger",
    "run_work",
    "unavailable",
    "upsert",
]

BUSY_SECONDS = 5.0
"""How long a transaction may take, with the time for which others are in its way."""
BUSY_TEXT = "other transactions kept the window store busy for too long"
POLL_SECONDS = 1.0
"""A change is seen this late even if nothing announces it."""
_LATER = "Nothing was granted. Try again later; the operators of this proxy have to look at its store."
_ANNOUNCED = "pgjit_announced"  # a key of `connection.info`

T = TypeVar("T")


class Database(Protocol):
    @property
    def shared(self) -> bool:
        """Whether other processes may use the database now."""

    @property
    def usable(self) -> bool:
        """Whether the last transaction was carried out."""

    async def open(self) -> None:
        """Connect, and check the schema. Raises ServerUnavailable."""

    async def transaction(self, work: Callable[[sa.Connection], T]) -> T:
        """The result of `work`. All of it is committed; or nothing is, and ServerUnavailable is raised.

        What `work` itself raises is raised here, and nothing is committed.
        """

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """The result of `work`, which is one SELECT. It waits for no transaction. Raises ServerUnavailable."""

    async def changes(self, seen: int) -> int:
        """See `Store.changes`."""

    def on_message(self, receive: Callable[[str], None]) -> None:
        """See `FleetStore.on_message`."""

    async def send_message(self, text: str) -> None:
        """See `FleetStore.send_message`. Raises ServerUnavailable."""

    async def close(self) -> None: ...


def announce(connection: sa.Connection) -> None:
    """Once this transaction is committed, wake whoever waits for changes, on every node."""
    connection.info[_ANNOUNCED] = True


def run_work(connection: sa.Connection, work: Callable[[sa.Connection], T]) -> tuple[T, bool]:
    """The result of `work`, and whether it announced a change. For a database to call, in a transaction."""
    connection.info.pop(_ANNOUNCED, None)  # of a transaction that failed
    result = work(connection)
    return result, bool(connection.info.pop(_ANNOUNCED, False))


def upsert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert:
    """An INSERT with `on_conflict_do_update` and `on_conflict_do_nothing`, which both databases have alike."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return cast(postgresql.Insert, sqlite.insert(table))


def larger(column: sa.ColumnElement[int], value: int) -> sa.ColumnElement[int]:
    """The larger of the two: SQLite's max(a, b) is another function's name in PostgreSQL."""
    return sa.case((column > value, column), else_=value)


def unavailable(error: BaseException, hint: str = _LATER) -> ServerUnavailable:
    """`hint`: for a client by default; for operators see `where_to_look.py`."""
    raised = getattr(error, "orig", None)  # by the driver: its own message, without SQLAlchemy's page of text
    cause = error if raised is None else raised.__cause__ or raised
    return ServerUnavailable(
        "window store cannot be used",
        reference="store-unavailable",
        detail=" ".join(str(cause).split()) or type(cause).__name__,
        hint=hint,
    )
