"""One control connection: logged in, on a known server, asked one question at a time.

After a question without an answer it is of no more use: what comes late would be taken for the next answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from pgjit.grants.server_process import Instance, ProcessSighting, ServerProcess
from pgjit.server.control_queries import (
    RIGHTS,
    ROLE,
    Rights,
    look,
    process_of,
    read_process,
    read_rights,
    read_sight,
    terminate,
)
from pgjit.server.link import LinkClosed
from pgjit.server.simple_query import QueryFailed, Row, run_query
from pgjit.server.upstream import Upstream
from pgwire.errors import RemoteProtocolError

__all__ = ["ControlConnection", "ControlConnectionFailed"]

T = TypeVar("T")

_FAULTS = (TimeoutError, LinkClosed, RemoteProtocolError, QueryFailed)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOBODY = ServerProcess(pid=0, started=_EPOCH, role=0, instance=Instance(system=None, started=_EPOCH))
"""No process of a server has this id: asked about it, a line is tried with the very question of an end."""


class ControlConnectionFailed(Exception):
    """The line gave no answer and is given up; the text says what came instead."""


class ControlConnection:
    def __init__(self, upstream: Upstream, deadline: float) -> None:
        self._upstream = upstream
        self._deadline = deadline
        self._rights = Rights()
        self._turn = asyncio.Lock()
        self._given_up = False
        self._instance: Instance | None = None

    @classmethod
    async def introduced(cls, upstream: Upstream, deadline: float) -> ControlConnection:
        """A line that has said on which server it is. Raises ControlConnectionFailed."""
        line = cls(upstream, deadline)
        line._rights = await line._read(RIGHTS, read_rights)
        await line.check()
        return line

    @property
    def instance(self) -> Instance:
        assert self._instance is not None, "it was introduced"
        return self._instance

    @property
    def alive(self) -> bool:
        return not self._given_up and not self._upstream.link.closed

    @property
    def lost(self) -> asyncio.Future[None]:
        return self._upstream.link.lost

    @property
    def idle(self) -> bool:
        return not self._turn.locked()

    async def check(self) -> None:
        """Ask what will be asked at an end, about no process. Raises ControlConnectionFailed."""
        self._instance = (await self.terminate(_NOBODY))[0].instance

    async def role(self) -> Row:
        """Raises ControlConnectionFailed."""
        return await self._read(ROLE, lambda row: row)

    async def process(self, pid: int) -> ServerProcess | None:
        """None where it is not seen, or not when it began. Raises ControlConnectionFailed."""
        rows = await self._rows(process_of(pid, self._rights))
        found = self._made(rows[0], lambda row: read_process(row, pid)) if rows else None
        return None if found is None else replace(found, instance=self._here(found.instance))

    async def terminate(self, process: ServerProcess) -> tuple[ProcessSighting, bool]:
        """Raises ControlConnectionFailed."""
        sight, terminated = await self._read(terminate(process, self._rights), read_sight)
        return replace(sight, instance=self._here(sight.instance)), terminated

    async def look(self, process: ServerProcess) -> ProcessSighting:
        """Raises ControlConnectionFailed."""
        sight, _ = await self._read(look(process, self._rights), read_sight)
        return replace(sight, instance=self._here(sight.instance))

    def _here(self, instance: Instance) -> Instance:
        """Where it was reached by a Unix socket, that is its place."""
        address = self._upstream.address
        return replace(instance, endpoint=str(address.host)) if address.host.is_unix else instance

    def give_up(self) -> None:
        self._given_up = True
        self._upstream.link.abort()

    async def leave(self) -> None:
        self._given_up = True
        await self._upstream.leave()

    async def _read(self, sql: str, read: Callable[[Row], T]) -> T:
        rows = await self._rows(sql)
        if not rows:
            self.give_up()
            raise ControlConnectionFailed("an answer without a row")
        return self._made(rows[0], read)

    def _made(self, row: Row, read: Callable[[Row], T]) -> T:
        try:
            return read(row)
        except (ValueError, IndexError) as fault:
            self.give_up()
            raise ControlConnectionFailed(f"an answer that cannot be read ({fault})") from None

    async def _rows(self, sql: str) -> list[Row]:
        async with self._turn:
            if not self.alive:
                raise ControlConnectionFailed("closed by the server")
            try:
                async with asyncio.timeout(self._deadline):
                    return await run_query(self._upstream.link, sql)
            except _FAULTS as failed:
                self.give_up()
                told = "no answer" if isinstance(failed, TimeoutError) else str(failed) or "closed by the server"
                raise ControlConnectionFailed(told) from None
            except BaseException:
                self.give_up()
                raise
