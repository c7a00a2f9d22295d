"""The journal records of a window's opening and end, and the outbox notes that they can be rebuilt from. Pure.

A note holds the fields of the record that the window itself does not have. The store keeps it until the journal has
the record; a later version of pgjit must be able to read it.
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
    fields = {
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
    return _text({"identity": fields, "policy_version": policy.version, "at": at, "source": source, "reason": reason})


def end_note(at: datetime, sessions: int) -> str:
    return _text({"at": at, "sessions": sessions})


def record_of(entry: OutboxEntry) -> WindowOpened | WindowEnded:
    """The record of an outbox entry. Raises ValueError, KeyError or TypeError for a malformed note."""
    note = orjson.loads(entry.note)
    at = datetime.fromisoformat(note["at"])
    if entry.kind == "ended":
        return WindowEnded(
            window=entry.window, at=at, reason=entry.window.end_reason or "ttl", sessions=note["sessions"]
        )
    return WindowOpened(
        identity=_identity(entry.window, note["identity"]),
        policy=entry.window.policy,
        policy_version=note["policy_version"],
        window=entry.window,
        at=at,
        source=note["source"],
        reason=note["reason"],
    )


def _identity(window: Window, fields: dict[str, Any]) -> Identity:
    """The identity without its groups, which no record holds."""
    return Identity(
        key=IdentityKey(window.identity.tid, window.identity.oid),
        kind=IdentityKind(fields["kind"]),
        app_id=fields["app_id"],
        display=fields["display"],
        groups=frozenset(),
        token_id=fields["token_id"],
        issued_at=datetime.fromisoformat(fields["issued_at"]),
        expires_at=datetime.fromisoformat(fields["expires_at"]),
        blueprint_id=fields["blueprint_id"],
        on_behalf_of=fields["on_behalf_of"],
        credential=None if fields["credential"] is None else Credential(fields["credential"]),
        acrs=frozenset(fields["acrs"]),
    )


def _text(note: dict[str, object]) -> str:
    return orjson.dumps(note).decode()
