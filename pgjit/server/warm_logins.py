"""Logins made ahead: a session that logs in as an earlier one did takes a connection that is ready.

The startup packet of a warm connection is that of a session of the same identity, policy, window and client settings.
So RESET and DISCARD ALL bring back there what they bring back in a session that logged in when the connection was
made. Only what `MOVING` lists may differ, and is set before the client hears anything.

Decides how many are made, for which sessions, and when one is not used any more. Does not know how a server is
chosen: `servers.py` logs in. INVARIANT: one session at most uses a connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from pgjit.errors import PgjitError
from pgjit.server.credential import CredentialUnavailable, LoginCredential
from pgjit.server.link_waits import LinkClosed
from pgjit.server.login_error import LoginFailed
from pgjit.server.simple_query import QueryFailed, run_query
from pgjit.server.upstream import Upstream
from pgwire.errors import RemoteProtocolError
from pgwire.messages.query import parameter_status

__all__ = ["MOVING", "NextLogin", "Settings", "WarmLogins"]

_log = logging.getLogger("pgjit.server")

MOVING = frozenset({
    "application_name", "statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
    "transaction_timeout",
})  # fmt: skip
"""Settings that differ from one session to the next. The timeouts end with the window, so they get shorter."""

_LONGEST = 60.0
"""Seconds that a connection is kept: what changed about the role at the server since is as old at most."""
_MOST_KINDS = 256
_SECONDS = 5.0
"""Time limit for taking a connection. After that the session logs in."""
_UNUSABLE = (QueryFailed, LinkClosed, RemoteProtocolError, LoginFailed, CredentialUnavailable, TimeoutError, OSError)

Settings = Callable[[int], dict[str, str]]
"""The startup parameters of a session, for the server's major version."""


@dataclass(frozen=True)
class NextLogin:
    """How a further session of the same kind would log in, and for how many seconds there may be one."""

    kind: Hashable
    settings: Settings
    seconds: float


class LoggedInBackend(Protocol):
    upstream: Upstream

    async def leave(self) -> None: ...


B = TypeVar("B", bound=LoggedInBackend)


@dataclass(eq=False)
class _Warm(Generic[B]):
    backend: B
    settings: dict[str, str]
    major: int
    secret: bytes
    expiry: asyncio.TimerHandle | None = None


@dataclass
class _Kind(Generic[B]):
    """The sessions that log in alike."""

    logins: int = 0
    making: int = 0
    ready: deque[_Warm[B]] = field(default_factory=deque)


class WarmLogins(Generic[B]):
    """`log_in` chooses a server and logs in; `check` raises LoginFailed if a session would not log in there now."""

    def __init__(
        self,
        most: int,
        credential: LoginCredential | None,
        log_in: Callable[[Settings], Awaitable[B]],
        check: Callable[[B], Awaitable[None]],
    ) -> None:
        self._most = most
        self._credential = credential
        self._log_in = log_in
        self._check = check
        self._kinds: OrderedDict[Hashable, _Kind[B]] = OrderedDict()  # least recently used first
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def ready(self) -> int:
        return sum(len(kind.ready) for kind in self._kinds.values())

    async def take(self, login: NextLogin, settings: Settings) -> B | None:
        """A connection with `settings`. None if there is none: then the session logs in."""
        kind = self._kinds.get(login.kind)
        while kind is not None and kind.ready:
            warm = self._pop(kind)
            try:
                async with asyncio.timeout(_SECONDS):
                    if warm.secret == await self._secret_digest():
                        await self._check(warm.backend)
                        await _adopt(warm.backend.upstream, warm.settings, settings(warm.major))
                        return warm.backend
            except _UNUSABLE as fault:
                _log.info("a connection that was made ahead cannot be used: %s", fault)
            except BaseException:
                await warm.backend.leave()
                raise
            await warm.backend.leave()
        return None

    def used(self, login: NextLogin) -> None:
        """A session of this kind has logged in. After the first one a connection is made ahead, then up to twice as
        many with each: who connects once costs one login more, who connects often finds them ready.
        """
        if self._closed or login.seconds <= 0:
            return
        kind = self._kinds.setdefault(login.kind, _Kind())
        self._kinds.move_to_end(login.kind)
        kind.logins += 1
        wanted = min(self._most, 2 ** min(kind.logins - 1, 16))
        for _ in range(wanted - len(kind.ready) - kind.making):
            making = sum(each.making for each in self._kinds.values())
            if self.ready + making >= self._most and not self._drop_oldest(login.kind):
                break
            kind.making += 1
            self._start(self._make(login, kind))
        while len(self._kinds) > _MOST_KINDS:
            _, oldest = self._kinds.popitem(last=False)
            while oldest.ready:
                self._start(self._pop(oldest).backend.leave())

    async def drop_all(self) -> bool:
        """Leave room at the server. False if there was nothing to drop."""
        dropped = [self._pop(kind) for kind in self._kinds.values() for _ in tuple(kind.ready)]
        await asyncio.gather(*(warm.backend.leave() for warm in dropped), return_exceptions=True)
        return bool(dropped)

    async def close(self) -> None:
        self._closed = True
        await self.drop_all()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _make(self, login: NextLogin, kind: _Kind[B]) -> None:
        made: dict[str, str] = {}
        major = 0
        try:

            def settings(version: int) -> dict[str, str]:
                nonlocal made, major
                made, major = login.settings(version), version
                return made

            before = await self._secret_digest()
            backend = await self._log_in(settings)
            try:
                # The login may have used either of them, if the secret changed meanwhile.
                same = before == await self._secret_digest()
            except BaseException:
                await backend.leave()
                raise
            if not same or self._closed or self._kinds.get(login.kind) is not kind:
                await backend.leave()
                return
        except (*_UNUSABLE, PgjitError) as fault:
            _log.info("no connection was made ahead: %s", fault)
            return
        finally:
            kind.making -= 1
        warm = _Warm(backend, made, major, before)
        loop = asyncio.get_running_loop()
        warm.expiry = loop.call_later(min(_LONGEST, login.seconds), self._expire, kind, warm)
        kind.ready.append(warm)

    def _expire(self, kind: _Kind[B], warm: _Warm[B]) -> None:
        with suppress(ValueError):
            kind.ready.remove(warm)
            self._start(warm.backend.leave())

    def _drop_oldest(self, but: Hashable) -> bool:
        for name, kind in self._kinds.items():
            if name != but and kind.ready:
                self._start(self._pop(kind).backend.leave())
                return True
        return False

    @staticmethod
    def _pop(kind: _Kind[B]) -> _Warm[B]:
        """The oldest of them. From here on nobody else can take it."""
        warm = kind.ready.popleft()
        if warm.expiry is not None:
            warm.expiry.cancel()
        return warm

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _secret_digest(self) -> bytes:
        secret = "" if self._credential is None else await self._credential.secret()
        return hashlib.sha256(secret.encode()).digest()


async def _adopt(upstream: Upstream, made: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Set what differs. INVARIANT: nothing but `MOVING` differs, as RESET would bring back the rest."""
    changed = {name: value for name, value in wanted.items() if made.get(name) != value}
    if made.keys() != wanted.keys() or not changed.keys() <= MOVING:
        raise QueryFailed("it was made with other settings")
    if any(int(value) > int(made[name]) for name, value in changed.items() if name != "application_name"):
        raise QueryFailed("it was made for a shorter time")
    sql = ";".join(f"SET {name} TO {_literal(value)}" for name, value in sorted(changed.items()))
    reported: dict[str, str] = {}
    await run_query(upstream.link, sql or "SELECT 1", reported)  # fails if the server has closed the connection
    upstream.parameters.update(reported)
    upstream.greeting += b"".join(parameter_status(name, value) for name, value in reported.items())


def _literal(value: str) -> str:
    """The startup packet has turned `standard_conforming_strings` on."""
    return "'" + value.replace("'", "''") + "'"
