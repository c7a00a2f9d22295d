"""The control connections to one address: they identify a backend, terminate it, and check that it is gone.

Two are kept open and checked while sessions need them. So the end of a window needs no free slot on the server, no
password that is still valid, and no single connection. Does not decide when a session ends, or what an answer proves:
each answer names the server that sent it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, TypeVar

from pgjit.errors import ServerUnavailable
from pgjit.grants.server_process import ProcessSighting, ServerInstance, ServerProcess
from pgjit.server.control_connection import ControlConnection, ControlConnectionFailed
from pgjit.server.control_queries import SignalRequest
from pgjit.server.control_settings import NEWEST, control_settings
from pgjit.server.dial import Address
from pgjit.server.login_error import LoginFailed
from pgjit.server.reserve_login import ReserveLogin
from pgjit.server.signal_batches import SignalBatches
from pgjit.server.target import Target
from pgjit.server.upstream import Upstream, connect_upstream
from pgjit.single_flight import SingleFlight

__all__ = ["ControlPool", "Role"]

T = TypeVar("T")

_log = logging.getLogger("pgjit.control")
_CONNECTIONS = 2
_CANCEL_REQUESTS = 16
"""CancelRequests at once while no control connection answers: each is a new connection to the server."""

_UNKNOWN_SETTING = "42704"
_RESERVE_SECONDS = 20.0
"""Age at which the reserve login is replaced: the server drops it after its `authentication_timeout`, 60 s."""

_RETRY_SECONDS = 0.1
"""Delay before a failed login is tried again. It doubles each time, up to the check interval."""


@dataclass(frozen=True, slots=True)
class Role:
    """The server's role. Queried each time, because a standby may be promoted at any moment."""

    standby: bool
    read_only: bool


class ControlPool:
    def __init__(self, target: Target, address: Address, *, deadline: float = 1.0, every: float = 5.0) -> None:
        """`deadline`: seconds that a query may take. `every`: seconds between two checks of the connections."""
        self.address = address
        self.sessions = 0  # that may need this pool
        self._target = target.for_control
        self._has_own_login = target.control is not None
        self._deadline = deadline
        self._every = every
        self._connections: list[ControlConnection] = []
        self._outdated: list[ControlConnection] = []  # logged in as the target was before
        self._sessions_of_run: Counter[object] = Counter()  # by the run of the server that holds the backend
        self._settings_level = NEWEST
        self._major = 0
        self._connect = SingleFlight(
            self._log_in, stopped=lambda: LoginFailed(str(address), "connecting", "pgjit is stopping")
        )
        self.cancel_requests = asyncio.Semaphore(_CANCEL_REQUESTS)
        self._signals = SignalBatches(self._send_signals)
        self._reserve_users = 0  # sessions that may terminate these connections or change their password
        self._reserve: ReserveLogin | None = None
        self._reserve_outdated = False
        self._logged_reason = ""  # why a connection is missing, as last logged
        self._maintenance: asyncio.Task[None] | None = None
        self._shortage: asyncio.Future[None] | None = None  # resolved to wake the maintenance

    @property
    def connected(self) -> bool:
        return any(one.alive for one in self._connections)

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """The background tasks of this pool."""
        tasks = (self._maintenance, self._connect.running, *self._signals.running)
        return [task for task in tasks if task is not None]

    def change(self, target: Target) -> None:
        """Log in as `target` says from now on.

        The connections of before stay until others are open in their place: without any, no session could be ended.
        """
        self._target, self._has_own_login = target.for_control, target.control is not None
        self._outdated = list(self._connections)
        self._reserve_outdated = True
        self._report_shortage()
        if self._maintenance is None:
            self._drop_outdated()

    def _drop_outdated(self) -> None:
        """Those to the current server. One to a former server may have to end sessions there."""
        current = self._current()
        for connection in self._outdated:
            if connection in current:
                self._drop(connection)
        self._outdated = [one for one in self._outdated if one in self._connections]

    # --- for sessions ----------------------------------------------------------------------------------

    async def version(self) -> int:
        """The server's major version; opens a connection if there is none. Raises LoginFailed."""
        if not self.connected:
            await self._connect()
        return self._major

    async def role(self) -> Role:
        """Raises ServerUnavailable."""
        standby, read_only = await self._query(lambda connection: connection.role())
        return Role(standby == "t", standby == "t" or read_only == "t")

    async def identify(self, pid: int) -> ServerProcess:
        """The identity of backend `pid` on its server. Raises ServerUnavailable if the backend is not visible.

        Such a session is not opened: its end could not be verified.
        """
        process = await self._query(lambda connection: connection.identify(pid))
        # The address may lead to another server now than when these connections were opened. A login that is under
        # way may have begun before that as well, so a second one follows it.
        for _ in range(1 if self._connect.running is None else 2):
            if process is None:
                process = await self._query_new(lambda connection: connection.identify(pid))
        if process is None:
            raise self._unavailable(
                "its sessions cannot be seen from the control connection",
                "Is there a pooler or a load balancer in between? pgjit has to log in to the server itself. "
                "A `control` login has to be a member of pg_signal_backend and of pg_read_all_stats.",
            )
        return process

    def add_session(self, process: ServerProcess) -> None:
        """Count a session whose backend is `process`. Needs a running event loop."""
        self._sessions_of_run[process.instance.run] += 1
        if self._maintenance is None:
            self._maintenance = asyncio.create_task(self._maintain(), context=Context())
        if len(self._current()) < _CONNECTIONS:
            self._report_shortage()

    async def hold_reserve(self) -> None:
        """Keep a login in reserve: a session may terminate these connections and change their password."""
        self._reserve_users += 1
        await self._renew_reserve()

    def release_reserve(self) -> None:
        self._reserve_users -= 1

    def remove_session(self, process: ServerProcess) -> None:
        self.sessions -= 1
        self._sessions_of_run[process.instance.run] -= 1

    # --- for the end of a session ----------------------------------------------------------------------

    async def cancel(self, process: ServerProcess) -> bool:
        """Cancel the statement that the process runs; whether it was signalled. Raises ServerUnavailable."""
        return (await self._signals.request(process, "cancel"))[1]

    async def terminate(self, process: ServerProcess) -> tuple[ProcessSighting, bool]:
        """Signal the process. Returns the sighting, and whether it was signalled. Raises ServerUnavailable."""
        return await self._signals.request(process, "terminate")

    async def observe(self, process: ServerProcess) -> ProcessSighting:
        """Whether the server still has the process. Raises ServerUnavailable."""
        return (await self._signals.request(process, "none"))[0]

    async def _send_signals(
        self, requests: Sequence[SignalRequest], instance: ServerInstance
    ) -> list[tuple[ProcessSighting, bool]]:
        return await self._query(lambda connection: connection.signal(requests), instance)

    async def reconnect(self) -> None:
        """Open a new connection: another server answered at this address, and the former one may be back."""
        try:
            await self._connect()
        except LoginFailed as failed:
            _log.debug("no new control connection to %s: %s", self.address, failed)
        self._sweep()

    async def close(self) -> None:
        if self._maintenance is not None:
            self._maintenance.cancel()
            await asyncio.gather(self._maintenance, return_exceptions=True)
            self._maintenance = None
        await self._signals.close()
        await self._connect.close()
        await self._drop_reserve()
        connections, self._connections = self._connections, []
        for connection in connections:
            await connection.leave()

    # --- queries ---------------------------------------------------------------------------------------

    async def _query(
        self, query: Callable[[ControlConnection], Awaitable[T]], instance: ServerInstance | None = None
    ) -> T:
        """Try the connections to `instance`, or those to the current server; then a new connection."""
        reason = ""
        for connection in sorted(self._to(instance) or self._current(), key=lambda one: not one.idle):
            try:
                return await query(connection)
            except ControlConnectionFailed as failed:
                reason = str(failed)
                self._drop(connection)
                self._report_shortage()
        return await self._query_new(query, reason)

    async def _query_new(self, query: Callable[[ControlConnection], Awaitable[T]], reason: str = "") -> T:
        try:
            return await query(await self._connect())
        except LoginFailed as failed:
            raise self._unavailable(f"control connection cannot be opened ({failed})", None) from None
        except ControlConnectionFailed as failed:
            reason = str(failed) or reason
            raise self._unavailable(f"control connection to {self.address} failed ({reason})", None) from None

    def _to(self, instance: ServerInstance | None) -> list[ControlConnection]:
        if instance is None:
            return []
        return [one for one in self._connections if one.alive and one.instance.is_same_run(instance)]

    def _current(self) -> list[ControlConnection]:
        """The connections to the server that the address led to at the latest login."""
        return self._to(self._connections[-1].instance) if self._connections else []

    def _drop(self, connection: ControlConnection) -> None:
        connection.abort()
        if connection in self._connections:
            self._connections.remove(connection)

    # --- logging in ------------------------------------------------------------------------------------

    async def _log_in(self) -> ControlConnection:
        try:
            upstream = await self._upstream()
        except LoginFailed:
            reserve, self._reserve = self._reserve, None
            if reserve is None:
                raise
            _log.warning("the login to %s that was kept in reserve is used", self.address)
            upstream = await reserve.complete()
        major = re.match(r"\d+", upstream.server_version)
        if major is None:
            upstream.link.abort()
            raise LoginFailed(str(self.address), "logging in", "the server does not report its version")
        try:
            connection = await ControlConnection.open(upstream, self._deadline)
        except ControlConnectionFailed as failed:
            raise LoginFailed(str(self.address), "identifying the server", str(failed), try_next=True) from None
        self._major = int(major[0])
        self._connections.append(connection)
        return connection

    async def _upstream(self) -> Upstream:
        while True:
            try:
                return await connect_upstream(self._target, self.address, control_settings(self._settings_level))
            except LoginFailed as failed:
                if failed.sqlstate != _UNKNOWN_SETTING or self._settings_level == 0:
                    self._settings_level = NEWEST  # the next login may reach another server
                    raise
                self._settings_level -= 1

    async def _renew_reserve(self) -> None:
        """Only for a pool that uses the sessions' own login: sessions cannot change a separate `control` login."""
        if self._reserve_users <= 0 or self._has_own_login:
            await self._drop_reserve()
            return
        old = self._reserve
        young = old is not None and asyncio.get_running_loop().time() - old.since < _RESERVE_SECONDS
        if young and not self._reserve_outdated:
            return
        new = ReserveLogin(self._target, self.address, control_settings(self._settings_level))
        if not await new.wait_until_paused():
            await new.discard()
            return
        await self._drop_reserve()
        self._reserve, self._reserve_outdated = new, False

    async def _drop_reserve(self) -> None:
        reserve, self._reserve = self._reserve, None
        if reserve is not None:
            await reserve.discard()

    # --- maintenance -----------------------------------------------------------------------------------

    async def _maintain(self) -> None:
        """Keep two connections that answer. A lost one is noticed now, not when a session has to be ended."""
        delay = self._every
        while True:
            self._sweep()
            if self.sessions <= 0 or await self._fill():
                delay = self._every
                self._drop_outdated()
            else:
                delay = min(_RETRY_SECONDS if delay == self._every else delay * 2, self._every)
            if not await self._wait_for_shortage(delay):
                await asyncio.gather(*(self._check(one) for one in self._connections if one.idle))
                await self._renew_reserve()

    async def _wait_for_shortage(self, seconds: float) -> bool:
        """Wait until a connection is lost or reported missing; False if neither done within `seconds`."""
        if self._shortage is None or self._shortage.done():
            self._shortage = asyncio.get_running_loop().create_future()
        lost = [one.lost for one in self._connections if one.alive]
        done, _ = await asyncio.wait((self._shortage, *lost), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    def _report_shortage(self) -> None:
        if self._shortage is not None and not self._shortage.done():
            self._shortage.set_result(None)

    async def _check(self, connection: ControlConnection) -> None:
        try:
            await connection.check()
        except ControlConnectionFailed as failed:
            _log.warning("a control connection to %s does not answer: %s", self.address, failed)
            self._drop(connection)

    def _sweep(self) -> None:
        """Drop lost connections, those to a former server without sessions, and any above two to one server."""
        for connection in list(self._connections):
            same_server = self._to(connection.instance)
            surplus = len(same_server) > _CONNECTIONS and connection is same_server[0] and connection.idle
            if not connection.alive:
                _log.warning("a control connection to %s was lost", self.address)
            elif not surplus and (
                same_server == self._current() or self._sessions_of_run[connection.instance.run] > 0
            ):
                continue
            self._drop(connection)

    async def _fill(self) -> bool:
        """Open missing connections to the current server. False if one is still missing."""
        for _ in range(_CONNECTIONS):
            if len(self._fresh()) >= _CONNECTIONS:
                return True
            try:
                await self._connect()
            except LoginFailed as failed:
                self._log_shortage(str(failed))
                return False
        self._logged_reason = ""
        return len(self._fresh()) >= _CONNECTIONS

    def _fresh(self) -> list[ControlConnection]:
        return [one for one in self._current() if one not in self._outdated]

    def _log_shortage(self, reason: str) -> None:
        """Log once for each reason."""
        if reason != self._logged_reason:
            self._logged_reason = reason
            _log.warning("of %d control connections to %s there are %d: %s",
                         _CONNECTIONS, self.address, len(self._current()), reason)  # fmt: skip

    def _unavailable(self, detail: str, hint: str | None) -> ServerUnavailable:
        return ServerUnavailable(
            f"connection `{self._target.name}` cannot be used now",
            reference="server-unavailable",
            detail=detail,
            hint=hint or "Try again later; the operators of this proxy have to look at its login to the server.",
        )
