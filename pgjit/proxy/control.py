"""The control connection to one server: looks a backend up, terminates it, and sees that it is gone.

One for each address that sessions are on, kept open: the end of a window does not depend on the server having a
slot left then. It logs in as the sessions do, which is what lets it signal them. Decides nothing about when.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from pgjit.errors import ServerUnavailable
from pgjit.proxy.attempt import LoginFailed
from pgjit.proxy.dial import Address
from pgjit.proxy.link import LinkClosed
from pgjit.proxy.question import QuestionRefused, Row, ask
from pgjit.proxy.shared import Shared
from pgjit.proxy.target import Target
from pgjit.proxy.upstream import Upstream, connect_upstream
from pgwire.errors import RemoteProtocolError

__all__ = ["Control", "Role"]

_SETTINGS = {
    "application_name": "pgjit control",
    "client_encoding": "UTF8",
    "role": "none",
    "search_path": "pg_catalog",
    "standard_conforming_strings": "on",
}
_BACKEND = "FROM pg_catalog.pg_stat_activity WHERE pid = {pid} AND backend_start = timestamptz '{started}'"
_GONE = f"SELECT 1 {_BACKEND}"
_TERMINATE = f"SELECT pg_catalog.pg_terminate_backend(pid) {_BACKEND}"
_STARTED = (
    "SELECT pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') "
    "FROM pg_catalog.pg_stat_activity WHERE pid = {pid}"
)
# A setting of the login role is not the server's: roles of agents are read-only by default, and a session has its
# own setting in its startup packet.
_ROLE = (
    "SELECT pg_catalog.pg_is_in_recovery(), "
    "(SELECT setting = 'on' AND source <> ALL ('{user,\"database user\"}') "
    "FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only')"
)


@dataclass(frozen=True, slots=True)
class Role:
    """What the server is now: asked anew each time, since a standby may be promoted at any moment."""

    standby: bool
    read_only: bool


class Control:
    """A backend is named by pid and start time: a pid alone is used again by the operating system."""

    def __init__(self, target: Target, address: Address, *, deadline: float = 5.0) -> None:
        self.address = address
        self.sessions = 0  # that may need it
        self._target = target
        self._deadline = deadline
        self._upstream: Upstream | None = None
        self._connect = Shared(self._log_in)
        self._turn = asyncio.Lock()

    @property
    def connected(self) -> bool:
        return self._upstream is not None and not self._upstream.link.closed

    async def version(self) -> int:
        """The server's major version; connects if need be. Raises LoginFailed."""
        upstream = await self._open()
        found = re.match(r"\d+", upstream.server_version)
        if found is None:
            raise LoginFailed(str(self.address), "logging in", "the server does not tell its version")
        return int(found[0])

    async def role(self) -> Role:
        """Raises ServerUnavailable."""
        ((standby, read_only),) = await self._rows(_ROLE)
        return Role(standby == "t", standby == "t" or read_only == "t")

    async def started(self, pid: int) -> datetime:
        """When the backend `pid` started. Raises ServerUnavailable where it cannot be seen.

        A session whose backend is not seen here could not be ended for certain: it is not opened.
        """
        found = await self._rows(_STARTED.format(pid=int(pid)))
        started = found[0][0] if found else None
        if started is None:
            raise self._unavailable(
                "its sessions cannot be seen from the control connection",
                "Is there a pooler or a load balancer in between? pgjit has to log in to the server itself.",
            )
        return datetime.fromisoformat(started).replace(tzinfo=UTC)

    async def terminate(self, pid: int, started: datetime) -> bool:
        """Ask the backend to end; False if it was gone already. Raises ServerUnavailable."""
        return (await self._rows(_TERMINATE.format(pid=int(pid), started=started.isoformat()))) == [("t",)]

    async def gone(self, pid: int, started: datetime) -> bool:
        """Whether the backend is no longer in pg_stat_activity. Raises ServerUnavailable."""
        return not await self._rows(_GONE.format(pid=int(pid), started=started.isoformat()))

    async def close(self) -> None:
        await self._connect.close()
        if self._upstream is not None:
            await self._upstream.leave()
            self._upstream = None

    async def _rows(self, sql: str) -> list[Row]:
        """It may have died since it was last used: once more then, on a new connection."""
        told = ""
        tries = 0
        while tries < 2:
            try:
                upstream = await self._open()
            except LoginFailed as failed:
                raise self._unavailable(f"control connection cannot be opened ({failed})", None) from None
            async with self._turn:
                if upstream is not self._upstream:
                    continue  # it was given up while we waited: what is left on it is another one's answer
                tries += 1
                try:
                    async with asyncio.timeout(self._deadline):
                        return await ask(upstream.link, sql)
                except (TimeoutError, LinkClosed, RemoteProtocolError, QuestionRefused) as failed:
                    told = "no answer" if isinstance(failed, TimeoutError) else str(failed) or "closed by the server"
                    self._give_up(upstream)
                except BaseException:
                    self._give_up(upstream)
                    raise
        raise self._unavailable(f"control connection to {self.address} failed ({told})", None)

    def _give_up(self, upstream: Upstream) -> None:
        upstream.link.abort()
        self._upstream = None

    async def _open(self) -> Upstream:
        if self._upstream is not None and not self._upstream.link.closed:
            return self._upstream
        return await self._connect()

    async def _log_in(self) -> Upstream:
        self._upstream = await connect_upstream(self._target, self.address, _SETTINGS)
        return self._upstream

    def _unavailable(self, detail: str, hint: str | None) -> ServerUnavailable:
        return ServerUnavailable(
            f"connection `{self._target.name}` cannot be used now",
            reference="server-unavailable",
            detail=detail,
            hint=hint or "Try again later; the operators of this proxy have to look at its login to the server.",
        )
