"""A store's database on PostgreSQL, which several nodes use at once.

Transactions of all nodes run one after the other: each takes an advisory lock first, and its statements see what the
one before has committed (READ COMMITTED). SERIALIZABLE would need no lock, but its predicate locks cover whole pages
of these small tables: of two hundred logins at once most would collide until they were given up.

Decides when a transaction is run again, and when it is given up: after five seconds. INVARIANT: a transaction whose
commit may have been carried out is never run again.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pgjit.errors import ServerUnavailable
from pgjit.grants.shielded import uninterrupted
from pgjit.grants.stores.change_listener import CHANNEL, ChangeListener
from pgjit.grants.stores.changes import Changes
from pgjit.grants.stores.database import BUSY_SECONDS, BUSY_TEXT, POLL_SECONDS, run_work, unavailable
from pgjit.grants.stores.postgres_login import PostgresLogin, connect
from pgjit.grants.stores.postgres_schema import check_schema
from pgjit.grants.stores.where_to_look import look_at_server

__all__ = ["FAILURES", "TURN_LOCK", "PostgresDatabase", "new_engine"]

T = TypeVar("T")

Once = Callable[[AsyncEngine, Callable[[sa.Connection], T]], Awaitable[tuple[T, bool]]]
"""Carries the work out once; returns its result, and whether it announced a change."""

FAILURES = (
    OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError,
)  # fmt: skip
"""What fails if a server cannot be used; what asyncpg raises while it connects is not SQLAlchemy's."""
_CONNECTIONS = 5
_COLLISIONS = ("40001", "40P01")  # serialization_failure, deadlock_detected: with something that takes no turn
_LOCK_TIMEOUT = "55P03"
_CONNECTION_EXCEPTION = "08"  # the class of the driver's own errors
_LOST = ("57P01", "57P02", "57P05", "25P03")  # the server ended the session
TURN_LOCK = zlib.crc32(b"pgjit store transaction")
"""The key of the advisory lock that a transaction holds."""
_TAKE_TURN = sa.text(f"SELECT pg_advisory_xact_lock({TURN_LOCK})")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.004, 0.2


class PostgresDatabase:
    shared = True

    def __init__(self, login: PostgresLogin) -> None:
        self.usable = False
        self._login = login
        self._engine: AsyncEngine | None = None
        self._origin = uuid.uuid4().hex  # of the notifications that this object sends
        self._changes = Changes()
        self._listener = ChangeListener(login, self._origin, self._changes.notify)

    async def open(self) -> None:
        if self._engine is not None:
            return
        self._engine = new_engine(self._login)
        try:
            await self.transaction(lambda connection: check_schema(connection, str(self._login)))
        except ServerUnavailable as error:
            await self.close()
            cause = error.__cause__
            if isinstance(cause, FAILURES) and error.detail != BUSY_TEXT:
                raise unavailable(cause, look_at_server(cause)) from cause
            raise
        except BaseException:
            await self.close()
            raise
        self._listener.start()

    async def transaction(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._run(work, self._once)

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._run(work, self._read)

    async def _run(self, work: Callable[[sa.Connection], T], once: Once[T]) -> T:
        if self._engine is None:
            raise unavailable(OSError("It is not open."))
        try:
            # A caller that is cancelled leaves only when it is known whether the transaction was committed.
            result, change = await uninterrupted(self._bounded(self._engine, work, once))
        except FAILURES as error:
            self.usable = False
            if isinstance(error, NoConnectionFree) or _sqlstate(error) == _LOCK_TIMEOUT:
                raise unavailable(TimeoutError(BUSY_TEXT)) from error
            raise unavailable(error) from error
        self.usable = True
        if change:
            self._changes.notify()
        return result

    async def changes(self, seen: int) -> int:
        return await self._changes.after(seen, POLL_SECONDS)

    def on_message(self, receive: Callable[[str], None]) -> None:
        self._listener.on_message(receive)

    async def send_message(self, text: str) -> None:
        try:
            await self._listener.send(text)
        except FAILURES as error:
            raise unavailable(error) from error

    async def close(self) -> None:
        engine, self._engine = self._engine, None
        self.usable = False
        await self._listener.stop()
        if engine is not None:
            await uninterrupted(engine.dispose())

    async def _bounded(
        self, engine: AsyncEngine, work: Callable[[sa.Connection], T], once: Once[T]
    ) -> tuple[T, bool]:
        try:
            async with asyncio.timeout(BUSY_SECONDS + self._login.connect_timeout):
                return await self._repeated(engine, work, once)
        except TimeoutError as error:
            raise TimeoutError(str(error) or f"{self._login} did not answer in time") from error

    async def _repeated(
        self, engine: AsyncEngine, work: Callable[[sa.Connection], T], once: Once[T]
    ) -> tuple[T, bool]:
        latest = time.monotonic() + BUSY_SECONDS
        pause, again = _FIRST_PAUSE, _Repetitions()
        while True:
            try:
                return await once(engine, work)
            except DBAPIError as error:
                if not again.allowed(error) or time.monotonic() > latest:
                    raise
            await asyncio.sleep(pause * random.random())  # noqa: S311 - so that the two do not collide again
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _read(self, engine: AsyncEngine, work: Callable[[sa.Connection], T]) -> tuple[T, bool]:
        async with engine.connect() as connection:
            at_once = await connection.execution_options(isolation_level="AUTOCOMMIT")  # without BEGIN and COMMIT
            return await at_once.run_sync(work), False

    async def _once(self, engine: AsyncEngine, work: Callable[[sa.Connection], T]) -> tuple[T, bool]:
        def run(connection: sa.Connection) -> tuple[T, bool]:
            connection.execute(_TAKE_TURN)
            result, change = run_work(connection, work)
            if change:
                connection.execute(sa.select(sa.func.pg_notify(CHANNEL, self._origin)))
            return result, change

        async with engine.connect() as connection:
            result = await connection.run_sync(run)
            try:
                await connection.commit()
            except SQLAlchemyError as error:
                if _lost(error):
                    raise OSError(
                        "the connection was lost at the commit; it is not known whether it was carried out"
                    ) from error
                raise
            return result


class _Repetitions:
    """How often one transaction may be run again, for each reason."""

    def __init__(self) -> None:
        self._lost = _CONNECTIONS + 1  # each connection in the pool may be lost, and a new one too

    def allowed(self, error: DBAPIError) -> bool:
        if _sqlstate(error) in _COLLISIONS:
            return True
        if _lost(error):
            self._lost -= 1
            return self._lost > 0
        return False


def _lost(error: SQLAlchemyError) -> bool:
    """Whether the connection was lost, so that the server's own answer is not known."""
    state = _sqlstate(error)
    return state is None or state[:2] == _CONNECTION_EXCEPTION or state in _LOST


def _sqlstate(error: BaseException) -> str | None:
    state: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state


def new_engine(
    login: PostgresLogin, *, statement_seconds: float = BUSY_SECONDS, isolation: IsolationLevel = "READ COMMITTED"
) -> AsyncEngine:
    async def creator() -> asyncpg.Connection[Any]:
        return await connect(login, statement_seconds=statement_seconds)

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=creator,
        isolation_level=isolation,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        pool_recycle=1800,
    )
