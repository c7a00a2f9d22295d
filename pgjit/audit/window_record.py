"""How the start and the end of a window are written. Pure."""

from __future__ import annotations

from pgjit.audit.event import WindowEnded, WindowEnding, WindowOpened
from pgjit.audit.record_json import time_text
from pgjit.audit.record_members import identity_member, key_member, window_member

__all__ = ["window_ended_members", "window_opened_members"]


def window_opened_members(event: WindowOpened) -> dict[str, object]:
    return {
        "identity": identity_member(event.identity),
        "policy": event.policy,
        "policy_version": event.policy_version,
        "window": {**window_member(event.window), "retry_at": time_text(event.window.retry_at)},
        "connection": event.window.connection,
        "source": event.source,
        "reason": event.reason,
    }


def window_ended_members(event: WindowEnded | WindowEnding) -> dict[str, object]:
    return {
        "identity": key_member(event.window.identity),
        "policy": event.window.policy,
        "window": window_member(event.window),
        "connection": event.window.connection,
        "reason": event.reason,
        "sessions": event.sessions,
    }
