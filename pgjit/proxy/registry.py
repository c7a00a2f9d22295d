"""The registry of live sessions. A window finds its sessions here to end them; a cancel request finds its session,
and so its backend, by the cancel key.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Generic, Literal, Protocol, TypeVar

from pgjit.grants.usage import Usage
from pgjit.identity.identity import Identity, IdentityKey
from pgjit.policy.policy import NO_LIMITS, Limits, Policy
from pgjit.proxy.ends import EndableSession

__all__ = ["RegisteredSession", "Registry", "RunningExecution", "SessionView"]

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningExecution:
    """What a session runs now. `statement` is as its record has it, and perhaps cut: `more`. `rows` and `bytes` are
    what the server has sent for it so far."""

    number: int
    started_at: datetime
    statement: str
    more: bool
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A live session as people see it: a copy of what is known now."""

    id: str
    window: str
    identity: Identity
    policy: str
    connection: str
    backend_pid: int
    source: str
    application_name: str | None
    opened_at: datetime
    ends_at: datetime
    executions: int
    state: Literal["active", "idle", "idle in transaction", "ending"]
    rows: int = 0  # of all its executions so far
    bytes: int = 0
    running: RunningExecution | None = None
    used: Usage | None = None  # of the window's budget, by all sessions that this node knows of; None: not known
    limits: Limits = NO_LIMITS


class RegisteredSession(EndableSession, Protocol):
    """The part of a session that the registry's users need: to find it, cancel in it or end it."""

    cancel_secret: bytes

    @property
    def window_id(self) -> str | None: ...
    @property
    def identity_key(self) -> IdentityKey | None: ...
    @property
    def backend_pid(self) -> int | None: ...
    @property
    def executions(self) -> int:
        """The statements that it has run."""

    @property
    def abandoned(self) -> bool:
        """It ended here before its backend was seen to be gone; the next process ends the backend."""

    @property
    def view(self) -> SessionView | None:
        """None before the session is open and after its end."""

    @property
    def policy(self) -> Policy | None:
        """The version of the policy that it is judged by. None as with `view`."""

    def follow(self, policy: Policy, ends_at: datetime | None, rules_since: int) -> bool:
        """Go on under another version of the policy. `ends_at`: of the window, if it ends earlier now.

        Returns whether the session ends earlier: `renew_notices` must follow.
        """

    def renew_notices(self) -> None:
        """Send the notices before the end that it has now, in place of those that were not sent yet."""

    def hold(self) -> None:
        """Forward nothing more of the client; what was recorded or runs goes on."""

    async def leave(self, reason: str, seconds: float) -> None:
        """Hold; end as soon as nothing runs, or after `seconds`."""

    async def cancel(self) -> None: ...
    def send_notice(self, notice: bytes) -> bool:
        """Send a NoticeResponse if the protocol allows one now. False: try again later."""

    def abandon(self) -> None: ...


class _Groups(Generic[K]):
    """The sessions of each key, in the order of their opening."""

    def __init__(self) -> None:
        self._groups: dict[K, dict[str, RegisteredSession]] = {}
        self._keys: dict[str, K] = {}

    def add(self, key: K, session_id: str, session: RegisteredSession) -> None:
        self._keys[session_id] = key
        self._groups.setdefault(key, {})[session_id] = session

    def remove(self, session_id: str) -> None:
        if session_id in self._keys:
            key = self._keys.pop(session_id)
            del self._groups[key][session_id]
            if not self._groups[key]:
                del self._groups[key]

    def of(self, key: K) -> list[RegisteredSession]:
        return list(self._groups.get(key, {}).values())


class Registry:
    def __init__(self) -> None:
        self._sessions: dict[str, RegisteredSession] = {}
        # Two servers may use the same process id: hardly ever has one more than one session.
        self._by_pid: _Groups[int | None] = _Groups()
        # A question about one window or identity looks at no other's sessions: there may be thousands.
        self._by_window: _Groups[str | None] = _Groups()
        self._by_identity: _Groups[IdentityKey | None] = _Groups()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[RegisteredSession]:
        return iter(list(self._sessions.values()))

    def add(self, session_id: str, session: RegisteredSession) -> None:
        self._sessions[session_id] = session
        self._by_window.add(session.window_id, session_id, session)
        self._by_identity.add(session.identity_key, session_id, session)
        self._by_pid.add(session.backend_pid, session_id, session)

    def remove(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        for groups in (self._by_window, self._by_identity, self._by_pid):
            groups.remove(session_id)

    def views_of(self, window_ids: Collection[str]) -> list[SessionView]:
        """Those of some windows."""
        found = (session for window_id in window_ids for session in self._by_window.of(window_id))
        return [view for session in found if (view := session.view) is not None]

    def latest_views(self, most: int, identity: IdentityKey | None = None) -> list[SessionView]:
        """Those of the sessions that opened last, the latest first: of all, or of one identity."""
        sessions = list(self._sessions.values()) if identity is None else self.of_identity(identity)
        views = (session.view for session in reversed(sessions))
        return list(islice((view for view in views if view is not None), most))

    def get(self, session_id: str) -> RegisteredSession | None:
        return self._sessions.get(session_id)

    def of_window(self, window_id: str) -> list[RegisteredSession]:
        return self._by_window.of(window_id)

    def of_identity(self, identity: IdentityKey) -> list[RegisteredSession]:
        return self._by_identity.of(identity)

    async def cancel(self, pid: int, secret: bytes) -> bool:
        """Cancel in the session with this cancel key; False if there is none. Returns when the server has done it."""
        session = self.by_cancel_key(pid, secret)
        if session is not None:
            await session.cancel()
        return session is not None

    def of_backend(self, pid: int) -> list[RegisteredSession]:
        """The sessions whose backends have this process id: on different servers, if there are several."""
        return self._by_pid.of(pid)

    def by_cancel_key(self, pid: int, secret: bytes) -> RegisteredSession | None:
        """The session with this cancel key; None for any other key, also one of another length.

        The comparison takes constant time: it does not reveal how much of a secret was right.
        """
        match = None
        for session in self._by_pid.of(pid):
            if hmac.compare_digest(session.cancel_secret, secret):
                match = session
        return match
