"""The records of a window's opening and end, and the note of each that outlives this process. Pure.

Decides what of a record cannot be told from the window itself. A note is read by the version that comes after.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from pgjit.audit.event import WindowEnded, WindowOpened
from pgjit.grants.outbox import OutboxEntry
from pgjit.grants.window import Window
from pgjit.identity.identity import Credential, Identity, IdentityKey, IdentityKind
from pgjit.policy.policy import Policy

__all__ = ["end_note", "opening_note", "record_of"]


def opening_note(identity: Identity, policy: Policy, at: datetime, source: str, reason: str | None) -> str:
    who = {
        "kind": identity.kind,
        "app_id": identity.app_id,
        "display": identity.display,
        "token_id": identity.token_id,
        "issued_at": identity.issued_at,
        "expires_at": identity.expires_at,
        "blueprint_id": identity.blueprint_id,
        "on_behalf_of": identity.on_behalf_of,
        "credential": identity.credential,
        "acrs": sorted(identity.acrs),
    }
    return _text({"identity": who, "policy_version": policy.version, "at": at, "source": source, "reason": reason})


def end_note(at: datetime, sessions: int) -> str:
    return _text({"at": at, "sessions": sessions})


def record_of(due: OutboxEntry) -> WindowOpened | WindowEnded:
    """The record that is due. Raises ValueError, KeyError or TypeError for a note that nobody here has written."""
    note = orjson.loads(due.note)
    at = datetime.fromisoformat(note["at"])
    if due.kind == "ended":
        return WindowEnded(window=due.window, at=at, reason=due.window.end_reason or "ttl", sessions=note["sessions"])
    return WindowOpened(
        identity=_identity(due.window, note["identity"]),
        policy=due.window.policy,
        policy_version=note["policy_version"],
        window=due.window,
        at=at,
        source=note["source"],
        reason=note["reason"],
    )


def _identity(window: Window, who: dict[str, Any]) -> Identity:
    """Without its groups, which no record holds."""
    return Identity(
        key=IdentityKey(window.identity.tid, window.identity.oid),
        kind=IdentityKind(who["kind"]),
        app_id=who["app_id"],
        display=who["display"],
        groups=frozenset(),
        token_id=who["token_id"],
        issued_at=datetime.fromisoformat(who["issued_at"]),
        expires_at=datetime.fromisoformat(who["expires_at"]),
        blueprint_id=who["blueprint_id"],
        on_behalf_of=who["on_behalf_of"],
        credential=None if who["credential"] is None else Credential(who["credential"]),
        acrs=frozenset(who["acrs"]),
    )


def _text(note: dict[str, object]) -> str:
    return orjson.dumps(note).decode()
