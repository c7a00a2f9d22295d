"""The live sessions: found by window to end them, by cancel key to cancel in them."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgjit.proxy.session import Session

__all__ = ["Registry"]


class Registry:
    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def add(self, session_id: str, session: Session) -> None:
        self._sessions[session_id] = session

    def remove(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)

    def of_window(self, window_id: str) -> list[Session]:
        return [session for session in self if session.window_id == window_id]

    def by_cancel_key(self, pid: int, secret: bytes) -> Session | None:
        """The session that was given this key; None for any other key."""
        found = None
        for session in self._sessions.values():
            if session.backend_pid == pid and hmac.compare_digest(session.cancel_secret, secret):
                found = session
        return found
