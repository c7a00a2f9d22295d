"""The control connection to a target server: looks a backend up, terminates it, and sees that it is gone.

One per target, kept open: the end of a window does not depend on the server having a slot left then. It logs
in as the sessions do, which is what lets it signal them. Decides nothing about when.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import asyncpg

from pgjit.errors import ServerUnavailable
from pgjit.proxy.target import Target

__all__ = ["Control"]

_GONE = "SELECT 1 FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND backend_start = $2"
_TERMINATE = (
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "
    "WHERE pid = $1 AND backend_start = $2"
)
_STARTED = "SELECT backend_start FROM pg_catalog.pg_stat_activity WHERE pid = $1"


class Control:
    """A backend is named by pid and start time: a pid alone is used again by the operating system."""

    def __init__(self, target: Target, *, deadline: float = 5.0) -> None:
        self._target = target
        self._deadline = deadline
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()

    async def started(self, pid: int) -> datetime:
        """When the backend `pid` started. Raises ServerUnavailable where it cannot be seen.

        A session whose backend is not seen here could not be ended for certain: it is not opened.
        """
        found = await self._value(_STARTED, pid)
        if not isinstance(found, datetime):
            raise self._unavailable(
                "its sessions cannot be seen from the control connection",
                "Is there a pooler or a load balancer in between? pgjit has to log in to the server itself.",
            )
        return found

    async def terminate(self, pid: int, started: datetime) -> bool:
        """Ask the backend to end; False if it was gone already. Raises ServerUnavailable."""
        return bool(await self._value(_TERMINATE, pid, started))

    async def gone(self, pid: int, started: datetime) -> bool:
        """Whether the backend is no longer in pg_stat_activity. Raises ServerUnavailable."""
        return await self._value(_GONE, pid, started) is None

    async def version(self) -> int:
        """The server's major version. Raises ServerUnavailable."""
        async with self._turn:
            connection = await self._open()
            return connection.get_server_version().major

    async def close(self) -> None:
        async with self._turn:
            if self._connection is not None:
                self._connection.terminate()
                self._connection = None

    async def _value(self, sql: str, *arguments: object) -> object:
        async with self._turn:
            for attempt in (1, 2):
                connection = await self._open()
                try:
                    return await connection.fetchval(sql, *arguments, timeout=self._deadline)
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
                    # It may have died since it was last used: once more on a new one.
                    connection.terminate()
                    self._connection = None
                    if attempt == 2:
                        raise self._unavailable(f"control connection failed ({type(fault).__name__})", None) from None
        raise AssertionError("unreachable")

    async def _open(self) -> asyncpg.Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        target = self._target
        try:
            self._connection = await asyncpg.connect(
                host=target.host,
                port=target.port,
                user=target.user,
                database=target.database,
                # Given as an empty string where there is none: the environment is not asked then.
                password=target.password or "",
                ssl=target.tls() or False,
                timeout=self._deadline,
                statement_cache_size=0,
                server_settings={
                    "application_name": "pgjit control",
                    "search_path": "pg_catalog",
                    "default_transaction_read_only": "on",
                },
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
            raise self._unavailable(f"control connection cannot be opened ({type(fault).__name__})", None) from None
        return self._connection

    def _unavailable(self, detail: str, hint: str | None) -> ServerUnavailable:
        return ServerUnavailable(
            f"connection `{self._target.name}` cannot be used now",
            reference="server-unavailable",
            detail=detail,
            hint=hint or "Try again later; the operators of this proxy have to look at its login to the server.",
        )
