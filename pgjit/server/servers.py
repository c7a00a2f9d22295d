"""The servers of one target: which of them a session gets, and the control connection to that very one.

Decides the order in which hosts and their addresses are tried, which failures move on to the next, and what
`target_session_attrs` means. The login itself is `upstream.py`'s.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pgjit.errors import ServerNotAccepting, ServerUnavailable, SettingRejected
from pgjit.grants.server_process import ServerProcess
from pgjit.server.control_pool import ControlPool, Role
from pgjit.server.dial import Address, resolve
from pgjit.server.login_error import LoginFailed
from pgjit.server.target import Host, SessionAttrs, Target
from pgjit.server.upstream import Upstream, connect_upstream

__all__ = ["Backend", "Servers"]

_MOST_IDLE = 16
"""Control connections that are kept although no session is on their address: names move to other addresses."""

_TURNED_AWAY = {"53300", "57P01", "57P03"}

Settings = Callable[[int], dict[str, str]]
"""From the server's major version to the startup parameters of the session."""


@dataclass(slots=True)
class Backend:
    """A session's place on a server: its connection, the process there, and what can end it."""

    upstream: Upstream
    process: ServerProcess
    control: ControlPool
    _held: bool = True
    _wary: bool = False

    async def hold_reserve_login(self) -> None:
        """The session may do something against what ends it."""
        self._wary = True
        await self.control.hold_reserve()

    def release(self) -> None:
        """The session is over: its control connection is needed by one less."""
        if self._held:
            self._held = False
            self.control.release(self.process)
            if self._wary:
                self.control.release_reserve()

    async def leave(self) -> None:
        """A session that does not come about: nothing was run on it."""
        self.release()
        await self.upstream.leave()


class Servers:
    def __init__(self, target: Target) -> None:
        self._target = target
        self._controls: dict[Address, ControlPool] = {}  # those used last come last

    async def connect(self, settings: Settings, deadline: float, asked: frozenset[str] = frozenset()) -> Backend:
        """Log in to the first server that will do. Raises ServerUnavailable, naming each step that failed.

        `asked` are the settings that the client asks for, in lower case: what the server says of them is for it.
        """
        failures: list[LoginFailed] = []
        try:
            async with asyncio.timeout(deadline):
                return await self._first(settings, failures)
        except LoginFailed as failed:
            failures.append(failed)
        except TimeoutError:
            failures.append(LoginFailed("all of them", "logging in", f"no time left after {deadline:g} s"))
        raise self._unavailable(failures, asked)

    async def check_reachable(self, deadline: float) -> None:
        """See that some server of these answers, by its control connection. Raises ServerUnavailable."""
        if any(control.connected for control in self._controls.values()):
            return
        failures: list[LoginFailed] = []
        try:
            async with asyncio.timeout(deadline):
                for host in self._target.hosts:
                    if await self._reached(host, failures):
                        return
        except TimeoutError:
            failures.append(LoginFailed("all of them", "logging in", f"no time left after {deadline:g} s"))
        raise self._unavailable(failures)

    async def _reached(self, host: Host, failures: list[LoginFailed]) -> bool:
        try:
            addresses = await resolve(host)
        except LoginFailed as failed:
            failures.append(failed)
            return False
        for address in addresses:
            control = await self._hold(address)
            try:
                await control.version()
            except LoginFailed as failed:
                failures.append(failed)
            else:
                return True
            finally:
                control.sessions -= 1
        return False

    @asynccontextmanager
    async def control_at(self, address: Address) -> AsyncIterator[ControlPool]:
        """The control of `address`, kept for as long as it is needed."""
        control = await self._hold(address)
        try:
            yield control
        finally:
            control.sessions -= 1

    async def close(self) -> None:
        for control in self._controls.values():
            await control.close()
        self._controls.clear()

    async def _first(self, settings: Settings, failures: list[LoginFailed]) -> Backend:
        """Raises the LoginFailed that is final; those before it go into `failures`."""
        standbys_first = self._target.session_attrs is SessionAttrs.PREFER_STANDBY
        passed_over: list[Address] = []
        for host in self._target.hosts:
            try:
                addresses = await resolve(host)
            except LoginFailed as failed:
                failures.append(failed)
                continue
            for address in addresses:
                try:
                    return await self._try(address, self._target.session_attrs, settings)
                except _OtherRole as other:
                    failures.append(other)
                    passed_over.append(address)
                except LoginFailed as failed:
                    if not failed.moves_on:
                        raise
                    failures.append(failed)
        for address in passed_over if standbys_first else []:
            try:
                return await self._try(address, SessionAttrs.ANY, settings)
            except LoginFailed as failed:
                failures.append(failed)
        raise failures.pop()

    async def _try(self, address: Address, wanted: SessionAttrs, settings: Settings) -> Backend:
        target = self._target
        control = await self._hold(address)
        try:
            major = await control.version()
            if wanted is not SessionAttrs.ANY:
                _see(address, wanted, await _role(control, wanted))
            upstream = await connect_upstream(target, address, settings(major))
            try:
                process = await control.process(upstream.backend_pid)
                if wanted is not SessionAttrs.ANY:
                    # It may have changed in between; what it reports is as it was when it logged us in.
                    _see_reported(address, wanted, upstream.parameters)
            except BaseException:
                await upstream.leave()
                raise
        except BaseException:
            control.sessions -= 1
            raise
        control.need(process)
        return Backend(upstream, process, control)

    async def _hold(self, address: Address) -> ControlPool:
        """The control of `address`, counted as needed; of the others those go that nobody needs any more."""
        control = self._controls.pop(address, None) or ControlPool(self._target, address)
        self._controls[address] = control
        control.sessions += 1
        idle = [old for old, kept in self._controls.items() if kept.sessions == 0]
        for old in idle[: max(0, len(idle) - _MOST_IDLE)]:
            await self._controls.pop(old).close()
        return control

    def _unavailable(self, failures: list[LoginFailed], asked: frozenset[str] = frozenset()) -> ServerUnavailable:
        detail = "; ".join(str(failed) for failed in failures)
        named = _PARAMETER.search(failures[-1].said)
        if failures[-1].sqlstate in _ABOUT_SETTINGS and named is not None and named[1].lower() in asked:
            return SettingRejected(failures[-1].said, failures[-1].sqlstate)
        for failed in reversed(failures):
            if failed.sqlstate in _TURNED_AWAY:
                return ServerNotAccepting(failed.sqlstate, failed.said, detail=detail)
        return ServerUnavailable(
            f"connection `{self._target.name}` cannot be used now",
            reference="server-unavailable",
            detail=detail,
            hint="Try again later; the operators of this proxy have to look at its login to the server.",
        )


_PARAMETER = re.compile(r'parameter "([^"]+)"')
_ABOUT_SETTINGS = {"22023", "42704", "55P02", "42501", "0A000"}
"""What the server says of a setting that it does not take: its value, its name, its time, its rights."""


class _OtherRole(LoginFailed):
    """The server would take the session, but is not of the kind that is wanted."""


async def _role(control: ControlPool, wanted: SessionAttrs) -> Role:
    try:
        return await control.role()
    except ServerUnavailable as fault:
        step = f"looking for a server that is {wanted.value}"
        raise LoginFailed(str(control.address), step, fault.detail or fault.message, moves_on=True) from None


def _see(address: Address, wanted: SessionAttrs, role: Role) -> None:
    match wanted:
        case SessionAttrs.PRIMARY if role.standby:
            why = "it is a standby"
        case SessionAttrs.STANDBY | SessionAttrs.PREFER_STANDBY if not role.standby:
            why = "it is no standby"
        case SessionAttrs.READ_WRITE if role.read_only:
            why = "it is read-only"
        case SessionAttrs.READ_ONLY if not role.read_only:
            why = "it is not read-only"
        case _:
            return
    raise _OtherRole(str(address), f"looking for a server that is {wanted.value}", why, moves_on=True)


def _see_reported(address: Address, wanted: SessionAttrs, reported: dict[str, str]) -> None:
    """By ParameterStatus `in_hot_standby` (14 and newer).

    `default_transaction_read_only` is not asked here: in this session it is what our own startup packet says.
    """
    standby = reported.get("in_hot_standby")
    if standby is None or wanted is SessionAttrs.READ_ONLY:
        return
    _see(address, wanted, Role(standby == "on", standby == "on"))
