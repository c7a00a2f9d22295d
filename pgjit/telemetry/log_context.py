"""The session and the window that a line of the log belongs to.

A session's task sets them once. Every line that is logged from that task, or from one that it starts, has them. Work
that several sessions share is started in an empty context: its lines are of no session.
"""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["context_of_line", "log_session", "log_window"]

_session: ContextVar[str | None] = ContextVar("session", default=None)
_window: ContextVar[str | None] = ContextVar("window", default=None)


def log_session(session_id: str) -> None:
    _session.set(session_id)


def log_window(window_id: str) -> None:
    _window.set(window_id)


def context_of_line() -> dict[str, str]:
    """The ids that are known now."""
    ids = {"session": _session.get(), "window": _window.get()}
    return {name: value for name, value in ids.items() if value is not None}
