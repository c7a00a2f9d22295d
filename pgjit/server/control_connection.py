"""One control connection: logged in to a known server, one query at a time.

After a query without an answer the connection is dropped: a late answer would be taken for the next query's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from pgjit.grants.server_process import ProcessSighting, ServerInstance, ServerProcess
from pgjit.server.control_queries import (
    RIGHTS,
    ROLE,
    Rights,
    SignalRequest,
    identify_query,
    read_process,
    read_rights,
    read_sightings,
    signal_query,
)
from pgjit.server.link_waits import LinkClosed
from pgjit.server.simple_query import QueryFailed, Row, run_query
from pgjit.server.upstream import Upstream
from pgwire.errors import RemoteProtocolError

__all__ = ["ControlConnection", "ControlConnectionFailed"]

S = TypeVar("S")
T = TypeVar("T")

_FAULTS = (TimeoutError, LinkClosed, RemoteProtocolError, QueryFailed)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_PROCESS = ServerProcess(pid=0, started=_EPOCH, role=0, instance=ServerInstance(system=None, started=_EPOCH))
"""No server process has this id. The health check sends the terminate query for it, which signals nothing."""


class ControlConnectionFailed(Exception):
    """The connection gave no valid answer and was dropped. The text gives the reason."""


class ControlConnection:
    def __init__(self, upstream: Upstream, deadline: float) -> None:
        self._upstream = upstream
        self._deadline = deadline
        self._rights = Rights()
        self._query_lock = asyncio.Lock()
        self._dropped = False
        self._instance: ServerInstance | None = None

    @classmethod
    async def open(cls, upstream: Upstream, deadline: float) -> ControlConnection:
        """A connection whose server is identified. Raises ControlConnectionFailed."""
        connection = cls(upstream, deadline)
        connection._rights = await connection._read(RIGHTS, read_rights)
        await connection.check()
        return connection

    @property
    def instance(self) -> ServerInstance:
        assert self._instance is not None, "`open` identified the server"
        return self._instance

    @property
    def alive(self) -> bool:
        return not self._dropped and not self._upstream.link.closed

    @property
    def lost(self) -> asyncio.Future[None]:
        return self._upstream.link.lost

    @property
    def idle(self) -> bool:
        return not self._query_lock.locked()

    async def check(self) -> None:
        """Run the terminate query for a process that does not exist. Raises ControlConnectionFailed."""
        [(sighting, _)] = await self.signal([SignalRequest(_NO_PROCESS, "terminate")])
        self._instance = sighting.instance

    async def role(self) -> Row:
        """Raises ControlConnectionFailed."""
        return await self._read(ROLE, lambda row: row)

    async def identify(self, pid: int) -> ServerProcess | None:
        """None if the backend or its start time is not visible. Raises ControlConnectionFailed."""
        rows = await self._rows(identify_query(pid, self._rights))
        return self._parse(rows[0], lambda row: read_process(row, pid, self._socket)) if rows else None

    async def signal(self, requests: Sequence[SignalRequest]) -> list[tuple[ProcessSighting, bool]]:
        """The sighting of each process, and whether it was signalled. Raises ControlConnectionFailed."""
        rows = await self._rows(signal_query(requests, self._rights))
        if len(rows) != len(requests):
            self.abort()
            raise ControlConnectionFailed(f"an answer of {len(rows)} rows instead of {len(requests)}")
        return self._parse(rows, lambda answer: read_sightings(answer, self._socket))

    @property
    def _socket(self) -> str | None:
        host = self._upstream.address.host
        return str(host) if host.is_unix else None

    def abort(self) -> None:
        self._dropped = True
        self._upstream.link.abort()

    async def leave(self) -> None:
        self._dropped = True
        await self._upstream.leave()

    async def _read(self, sql: str, read: Callable[[Row], T]) -> T:
        rows = await self._rows(sql)
        if not rows:
            self.abort()
            raise ControlConnectionFailed("an answer without a row")
        return self._parse(rows[0], read)

    def _parse(self, answer: S, read: Callable[[S], T]) -> T:
        try:
            return read(answer)
        except (ValueError, IndexError) as fault:
            self.abort()
            raise ControlConnectionFailed(f"an answer that cannot be read ({fault})") from None

    async def _rows(self, sql: str) -> list[Row]:
        async with self._query_lock:
            if not self.alive:
                raise ControlConnectionFailed("closed by the server")
            try:
                async with asyncio.timeout(self._deadline):
                    return await run_query(self._upstream.link, sql)
            except _FAULTS as failed:
                self.abort()
                reason = "no answer" if isinstance(failed, TimeoutError) else str(failed) or "closed by the server"
                raise ControlConnectionFailed(reason) from None
            except BaseException:
                self.abort()
                raise
