"""The servers of one target: failover between them, and the control pool of each address.

Decides the order in which hosts and addresses are tried, which failures move on to the next one, and what
`target_session_attrs` means. `upstream.py` does the login itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pgjit.errors import ServerNotAccepting, ServerUnavailable, SettingRejected
from pgjit.grants.server_process import ServerProcess
from pgjit.server.control_pool import ControlPool, Role
from pgjit.server.dial import Address, resolve
from pgjit.server.login_error import LoginFailed
from pgjit.server.target import Host, SessionAttrs, Target
from pgjit.server.upstream import Upstream, connect_upstream
from pgjit.server.warm_logins import NextLogin, Settings, WarmLogins
from pgjit.telemetry.dependency import ExternalDependency

__all__ = ["Backend", "Servers"]

_MOST_IDLE = 16
"""Limit on control pools without sessions. Host names move to new addresses, so unused pools would pile up."""

_RETIRE_SECONDS = 0.2
_NOT_ACCEPTING = {"53300", "57P01", "57P03"}


@dataclass(slots=True)
class Backend:
    """A session's backend: the connection, the server process, and the control pool that can end it."""

    upstream: Upstream
    process: ServerProcess
    control: ControlPool
    _counted: bool = True
    _uses_reserve: bool = False

    async def hold_reserve_login(self) -> None:
        """Keep a reserve login: the session may terminate the control connections or change their password."""
        self._uses_reserve = True
        await self.control.hold_reserve()

    def release(self) -> None:
        """The session is over: the control pool has one session less."""
        if self._counted:
            self._counted = False
            self.control.remove_session(self.process)
            if self._uses_reserve:
                self.control.release_reserve()

    async def leave(self) -> None:
        """Log out of a backend that no session used."""
        self.release()
        await self.upstream.leave()


class Servers:
    def __init__(self, target: Target) -> None:
        self._target = target
        self.dependency = ExternalDependency("server", target.name)
        self._controls: dict[Address, ControlPool] = {}  # least recently used first
        self._warm = self._new_warm()
        self._retired = False  # no login is made any more
        self._closing: set[asyncio.Task[None]] = set()  # logins that were made ahead as the target was before

    def _new_warm(self) -> WarmLogins[Backend]:
        return WarmLogins(self._target.warm, self._target.credential, self._log_in_ahead, self._check_again)

    def change(self, target: Target) -> None:
        """Log in as `target` says from now on: the servers are the same, the login or its secret is another.

        Sessions that are open stay. No other login of before outlives this once there is one to take its place.
        """
        self._target = target
        self.forget_warm()
        for control in self._controls.values():
            control.change(target)

    def forget_warm(self) -> None:
        """No login that was made ahead so far is used by a session."""
        closing = asyncio.create_task(self._warm.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._warm = self._new_warm()

    async def retire(self) -> None:
        """Close when nothing uses these servers any more: no session logs in here, and those that are open end."""
        self.forget_warm()
        # Sessions that are over report it to no one who waits, and this is rare.
        while any(control.sessions > 0 for control in self._controls.values()):  # noqa: ASYNC110
            await asyncio.sleep(_RETIRE_SECONDS)
        self._retired = True
        await self.close()

    async def connect(
        self,
        settings: Settings,
        deadline: float,
        client_settings: frozenset[str] = frozenset(),
        following: NextLogin | None = None,
    ) -> Backend:
        """Log in to the first acceptable server. Raises ServerUnavailable, which names each step that failed.

        `client_settings`: names of the settings that the client requested, in lower case. The client receives the
        server's errors about these. `following`: how further sessions like this one log in. If one was made ahead, it
        is used now.
        """
        if following is None or not self._target.warm:
            return await self._connect(settings, deadline, client_settings)
        backend = await self._warm.take(following, settings)
        if backend is None:
            try:
                backend = await self._connect(settings, deadline, client_settings)
            except ServerNotAccepting:
                if not await self._warm.drop_all():
                    raise
                # The server may have had no room left but for those.
                backend = await self._connect(settings, deadline, client_settings)
        self._warm.used(following)
        return backend

    async def _connect(self, settings: Settings, deadline: float, client_settings: frozenset[str]) -> Backend:
        failures: list[LoginFailed] = []
        try:
            async with asyncio.timeout(deadline):
                backend = await self._log_in_to_first(settings, failures)
            self.dependency.works()
            return backend
        except LoginFailed as failed:
            failures.append(failed)
        except TimeoutError:
            failures.append(LoginFailed("all of them", "logging in", f"no time left after {deadline:g} s"))
        raise self._unavailable(failures, client_settings)

    @property
    def connected(self) -> bool:
        """Whether a control connection to one of the servers is up."""
        return any(control.connected for control in self._controls.values())

    async def check_reachable(self, deadline: float) -> None:
        """Check that one of the servers answers, over its control connection. Raises ServerUnavailable."""
        if self.connected:
            return
        failures: list[LoginFailed] = []
        try:
            async with asyncio.timeout(deadline):
                for host in self._target.hosts:
                    if await self._can_reach(host, failures):
                        self.dependency.works()
                        return
        except TimeoutError:
            failures.append(LoginFailed("all of them", "logging in", f"no time left after {deadline:g} s"))
        raise self._unavailable(failures)

    async def _can_reach(self, host: Host, failures: list[LoginFailed]) -> bool:
        try:
            addresses = await resolve(host)
        except LoginFailed as failed:
            failures.append(failed)
            return False
        for address in addresses:
            control = await self._acquire(address)
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
        """The control pool of `address`, held open inside the `async with` block."""
        control = await self._acquire(address)
        try:
            yield control
        finally:
            control.sessions -= 1

    async def close(self) -> None:
        await self._warm.close()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for control in self._controls.values():
            await control.close()
        self._controls.clear()

    async def _log_in_ahead(self, settings: Settings) -> Backend:
        return await self._log_in_to_first(settings, [])

    async def _check_again(self, backend: Backend) -> None:
        """Raises LoginFailed if this server is not one to log in to any more."""
        address, attrs = backend.upstream.address, self._target.session_attrs
        if attrs is not SessionAttrs.ANY:
            _check_role(address, attrs, await _role(backend.control, attrs))
        if address not in await resolve(address.host):
            raise _OtherRole(str(address), "resolving the name", "it has other addresses now")

    async def _log_in_to_first(self, settings: Settings, failures: list[LoginFailed]) -> Backend:
        """Raises the last LoginFailed; earlier ones are appended to `failures`."""
        standbys_first = self._target.session_attrs is SessionAttrs.PREFER_STANDBY
        other_role: list[Address] = []
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
                    other_role.append(address)
                except LoginFailed as failed:
                    if not failed.try_next:
                        raise
                    failures.append(failed)
        for address in other_role if standbys_first else []:
            try:
                return await self._try(address, SessionAttrs.ANY, settings)
            except LoginFailed as failed:
                failures.append(failed)
        raise failures.pop()

    async def _try(self, address: Address, attrs: SessionAttrs, settings: Settings) -> Backend:
        target = self._target
        control = await self._acquire(address)
        try:
            major = await control.version()
            if attrs is not SessionAttrs.ANY:
                _check_role(address, attrs, await _role(control, attrs))
            upstream = await connect_upstream(target, address, settings(major))
            try:
                process = await control.identify(upstream.backend_pid)
                if attrs is not SessionAttrs.ANY:
                    # The role may have changed since; the parameters report it as of this login.
                    _check_reported_role(address, attrs, upstream.parameters)
            except BaseException:
                await upstream.leave()
                raise
        except BaseException:
            control.sessions -= 1
            raise
        control.add_session(process)
        return Backend(upstream, process, control)

    async def _acquire(self, address: Address) -> ControlPool:
        """The control pool of `address`, counted as in use. Closes surplus pools without sessions.

        Raises LoginFailed after `retire`.
        """
        if self._retired:
            raise LoginFailed(str(address), "logging in", "the connection was changed or removed")
        control = self._controls.pop(address, None) or ControlPool(self._target, address)
        self._controls[address] = control
        control.sessions += 1
        idle = [old for old, pool in self._controls.items() if pool.sessions == 0]
        for old in idle[: max(0, len(idle) - _MOST_IDLE)]:
            await self._controls.pop(old).close()
        return control

    def _unavailable(
        self, failures: list[LoginFailed], client_settings: frozenset[str] = frozenset()
    ) -> ServerUnavailable:
        detail = "; ".join(str(failed) for failed in failures)
        parameter = _PARAMETER.search(failures[-1].server_message)
        if (
            failures[-1].sqlstate in _SETTING_ERRORS
            and parameter is not None
            and parameter[1].lower() in client_settings
        ):
            return SettingRejected(failures[-1].server_message, failures[-1].sqlstate)
        self.dependency.failed(detail)
        for failed in reversed(failures):
            if failed.sqlstate in _NOT_ACCEPTING:
                return ServerNotAccepting(failed.sqlstate, failed.server_message, detail=detail)
        return ServerUnavailable(
            f"connection `{self._target.name}` cannot be used now",
            reference="server-unavailable",
            detail=detail,
            hint="Try again later; the operators of this proxy have to look at its login to the server.",
        )


_PARAMETER = re.compile(r'parameter "([^"]+)"')
_SETTING_ERRORS = {"22023", "42704", "55P02", "42501", "0A000"}
"""SQLSTATEs for a rejected setting: bad value, unknown name, not settable now, no permission, not supported."""


class _OtherRole(LoginFailed):
    """The server accepts the login, but its role does not match `target_session_attrs`."""


async def _role(control: ControlPool, attrs: SessionAttrs) -> Role:
    try:
        return await control.role()
    except ServerUnavailable as fault:
        step = f"looking for a server that is {attrs.value}"
        raise LoginFailed(str(control.address), step, fault.detail or fault.message, try_next=True) from None


def _check_role(address: Address, attrs: SessionAttrs, role: Role) -> None:
    match attrs:
        case SessionAttrs.PRIMARY if role.standby:
            reason = "it is a standby"
        case SessionAttrs.STANDBY | SessionAttrs.PREFER_STANDBY if not role.standby:
            reason = "it is not a standby"
        case SessionAttrs.READ_WRITE if role.read_only:
            reason = "it is read-only"
        case SessionAttrs.READ_ONLY if not role.read_only:
            reason = "it is not read-only"
        case _:
            return
    raise _OtherRole(str(address), f"looking for a server that is {attrs.value}", reason, try_next=True)


def _check_reported_role(address: Address, attrs: SessionAttrs, reported: dict[str, str]) -> None:
    """Check the role by ParameterStatus `in_hot_standby` (PostgreSQL 14 and newer).

    `default_transaction_read_only` proves nothing: in this session it is the value of our own startup packet.
    """
    standby = reported.get("in_hot_standby")
    if standby is None or attrs is SessionAttrs.READ_ONLY:
        return
    _check_role(address, attrs, Role(standby == "on", standby == "on"))
