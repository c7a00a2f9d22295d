"""The control connections to one address: they look a backend up, terminate it, and see that it is gone.

Two while sessions need them, kept open and looked after all the time: the end of a window depends neither on a slot
that the server has left then, nor on a password that is good by then, nor on one connection. Decides nothing about
when a session ends, nor what an answer proves: each names the server that it comes from.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pgjit.errors import ServerUnavailable
from pgjit.grants.server_process import Instance, ProcessSighting, ServerProcess
from pgjit.server.control_connection import ControlConnection, ControlConnectionFailed
from pgjit.server.control_settings import NEWEST, control_settings
from pgjit.server.dial import Address
from pgjit.server.login_error import LoginFailed
from pgjit.server.reserve_login import ReserveLogin
from pgjit.server.target import Target
from pgjit.server.upstream import Upstream, connect_upstream
from pgjit.single_flight import SingleFlight

__all__ = ["ControlPool", "Role"]

T = TypeVar("T")

_log = logging.getLogger("pgjit.control")
_LINES = 2
_UNKNOWN_SETTING = "42704"
_RESERVE_SECONDS = 20.0
"""Until a login in reserve is replaced: a server waits for a proof as long as its `authentication_timeout`, 60 s."""

_PAUSE = 0.1
"""Seconds until a login of a control connection is tried again; twice as long each time, up to the interval."""


@dataclass(frozen=True, slots=True)
class Role:
    """What the server is now: asked anew each time, since a standby may be promoted at any moment."""

    standby: bool
    read_only: bool


class ControlPool:
    def __init__(self, target: Target, address: Address, *, deadline: float = 1.0, every: float = 5.0) -> None:
        """`deadline`: seconds that a question may take; `every`: seconds between two looks at the connections."""
        self.address = address
        self.sessions = 0  # that may need it
        self._target = target.for_control
        self._own = target.control is not None
        self._deadline = deadline
        self._every = every
        self._lines: list[ControlConnection] = []
        self._needed: Counter[object] = Counter()  # sessions by the run of the server that they are on
        self._level = NEWEST
        self._major = 0
        self._connect = SingleFlight(
            self._log_in, stopped=lambda: LoginFailed(str(address), "connecting", "pgjit is stopping")
        )
        self._wary = 0  # sessions that may do something against what ends them
        self._reserve: ReserveLogin | None = None
        self._warned = ""  # why one is missing, as it was logged
        self._keeping: asyncio.Task[None] | None = None
        self._missing: asyncio.Future[None] | None = None  # while nobody misses one

    @property
    def connected(self) -> bool:
        return any(line.alive for line in self._lines)

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """What goes on by itself for as long as it is open."""
        return [task for task in (self._keeping, self._connect.running) if task is not None]

    # --- for sessions ----------------------------------------------------------------------------------

    async def version(self) -> int:
        """The server's major version; connects if need be. Raises LoginFailed."""
        if not self.connected:
            await self._connect()
        return self._major

    async def role(self) -> Role:
        """Raises ServerUnavailable."""
        standby, read_only = await self._ask(lambda line: line.role())
        return Role(standby == "t", standby == "t" or read_only == "t")

    async def process(self, pid: int) -> ServerProcess:
        """The backend `pid`, as it can be named from now on. Raises ServerUnavailable where it cannot be seen.

        A session whose backend is not seen here could not be ended for certain: it is not opened.
        """
        found = await self._ask(lambda line: line.process(pid))
        if found is None:
            # The address may lead to another server by now than when these connections were made.
            found = await self._ask_anew(lambda line: line.process(pid))
        if found is None:
            raise self._unavailable(
                "its sessions cannot be seen from the control connection",
                "Is there a pooler or a load balancer in between? pgjit has to log in to the server itself. "
                "A `control` login has to be a member of pg_signal_backend and of pg_read_all_stats.",
            )
        return found

    def need(self, process: ServerProcess) -> None:
        """Of the sessions that may need it, one is on this server. Needs a running loop."""
        self._needed[process.instance.run] += 1
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())
        if len(self._current()) < _LINES:
            self._miss()

    async def hold_reserve(self) -> None:
        """One of the sessions may take these connections away, and change their secret: keep a login in reserve."""
        self._wary += 1
        await self._renew_reserve()

    def release_reserve(self) -> None:
        self._wary -= 1

    def release(self, process: ServerProcess) -> None:
        self.sessions -= 1
        self._needed[process.instance.run] -= 1

    # --- for an end ------------------------------------------------------------------------------------

    async def terminate(self, process: ServerProcess) -> tuple[ProcessSighting, bool]:
        """Ask it to end; what was seen, and whether it was asked. Raises ServerUnavailable."""
        return await self._ask(lambda line: line.terminate(process), process.instance)

    async def look(self, process: ServerProcess) -> ProcessSighting:
        """Raises ServerUnavailable."""
        return await self._ask(lambda line: line.look(process), process.instance)

    async def seek(self) -> None:
        """Another server answers at this address: see whether a new connection leads back to the one before."""
        try:
            await self._connect()
        except LoginFailed as failed:
            _log.debug("no new control connection to %s: %s", self.address, failed)
        self._sweep()

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
        await self._connect.close()
        await self._drop_reserve()
        lines, self._lines = self._lines, []
        for line in lines:
            await line.leave()

    # --- questions -------------------------------------------------------------------------------------

    async def _ask(self, question: Callable[[ControlConnection], Awaitable[T]], wanted: Instance | None = None) -> T:
        """Of the lines to the `wanted` server, or else to the one that the address leads to; then of a new one."""
        told = ""
        for line in sorted(self._to(wanted) or self._current(), key=lambda line: not line.idle):
            try:
                return await question(line)
            except ControlConnectionFailed as failed:
                told = str(failed)
                self._drop(line)
                self._miss()
        return await self._ask_anew(question, told)

    async def _ask_anew(self, question: Callable[[ControlConnection], Awaitable[T]], told: str = "") -> T:
        try:
            return await question(await self._connect())
        except LoginFailed as failed:
            raise self._unavailable(f"control connection cannot be opened ({failed})", None) from None
        except ControlConnectionFailed as failed:
            told = str(failed) or told
            raise self._unavailable(f"control connection to {self.address} failed ({told})", None) from None

    def _to(self, instance: Instance | None) -> list[ControlConnection]:
        if instance is None:
            return []
        return [line for line in self._lines if line.alive and line.instance.is_same_run(instance)]

    def _current(self) -> list[ControlConnection]:
        """Those to the server that the address led to the last time."""
        return self._to(self._lines[-1].instance) if self._lines else []

    def _drop(self, line: ControlConnection) -> None:
        line.give_up()
        if line in self._lines:
            self._lines.remove(line)

    # --- logging in ------------------------------------------------------------------------------------

    async def _log_in(self) -> ControlConnection:
        try:
            upstream = await self._upstream()
        except LoginFailed:
            reserve, self._reserve = self._reserve, None
            if reserve is None:
                raise
            _log.warning("the login to %s that was kept in reserve is used", self.address)
            upstream = await reserve.redeem()
        found = re.match(r"\d+", upstream.server_version)
        if found is None:
            upstream.link.abort()
            raise LoginFailed(str(self.address), "logging in", "the server does not tell its version")
        try:
            line = await ControlConnection.introduced(upstream, self._deadline)
        except ControlConnectionFailed as failed:
            raise LoginFailed(str(self.address), "asking which server it is", str(failed), moves_on=True) from None
        self._major = int(found[0])
        self._lines.append(line)
        return line

    async def _upstream(self) -> Upstream:
        while True:
            try:
                return await connect_upstream(self._target, self.address, control_settings(self._level))
            except LoginFailed as failed:
                if failed.sqlstate != _UNKNOWN_SETTING or self._level == 0:
                    self._level = NEWEST  # it may be another server the next time
                    raise
                self._level -= 1

    async def _renew_reserve(self) -> None:
        """Only where the sessions' own login is used: one of its own is out of their reach."""
        if self._wary <= 0 or self._own:
            await self._drop_reserve()
            return
        old = self._reserve
        if old is not None and asyncio.get_running_loop().time() - old.since < _RESERVE_SECONDS:
            return
        new = ReserveLogin(self._target, self.address, control_settings(self._level))
        if not await new.prepared():
            await new.drop()
            return
        await self._drop_reserve()
        self._reserve = new

    async def _drop_reserve(self) -> None:
        reserve, self._reserve = self._reserve, None
        if reserve is not None:
            await reserve.drop()

    # --- looking after ---------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """See that there are two, and that they answer: what is lost is noticed now, and not at an end."""
        pause = self._every
        while True:
            self._sweep()
            if self.sessions <= 0 or await self._fill():
                pause = self._every
            else:
                pause = min(_PAUSE if pause == self._every else pause * 2, self._every)
            if not await self._stir(pause):
                await asyncio.gather(*(self._check(line) for line in self._lines if line.idle))
                await self._renew_reserve()

    async def _stir(self, seconds: float) -> bool:
        """Wait until a line is lost or missed; False if nothing of that kind happened for so long."""
        if self._missing is None or self._missing.done():
            self._missing = asyncio.get_running_loop().create_future()
        lost = [line.lost for line in self._lines if line.alive]
        stirred, _ = await asyncio.wait((self._missing, *lost), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(stirred)

    def _miss(self) -> None:
        if self._missing is not None and not self._missing.done():
            self._missing.set_result(None)

    async def _check(self, line: ControlConnection) -> None:
        try:
            await line.check()
        except ControlConnectionFailed as failed:
            _log.warning("a control connection to %s does not answer: %s", self.address, failed)
            self._drop(line)

    def _sweep(self) -> None:
        """Those that were lost go, those to a server that no session is on, and what is more than two to one."""
        for line in list(self._lines):
            there = self._to(line.instance)
            surplus = len(there) > _LINES and line is there[0] and line.idle
            if not line.alive:
                _log.warning("a control connection to %s was lost", self.address)
            elif not surplus and (there == self._current() or self._needed[line.instance.run] > 0):
                continue
            self._drop(line)

    async def _fill(self) -> bool:
        """Whether there are as many as there should be, to the server that the address leads to now."""
        for _ in range(_LINES):
            if len(self._current()) >= _LINES:
                return True
            try:
                await self._connect()
            except LoginFailed as failed:
                self._warn(str(failed))
                return False
        self._warned = ""
        return len(self._current()) >= _LINES

    def _warn(self, why: str) -> None:
        """Once for as long as it is the same."""
        if why != self._warned:
            self._warned = why
            _log.warning("of %d control connections to %s there are %d: %s",
                         _LINES, self.address, len(self._current()), why)  # fmt: skip

    def _unavailable(self, detail: str, hint: str | None) -> ServerUnavailable:
        return ServerUnavailable(
            f"connection `{self._target.name}` cannot be used now",
            reference="server-unavailable",
            detail=detail,
            hint=hint or "Try again later; the operators of this proxy have to look at its login to the server.",
        )
