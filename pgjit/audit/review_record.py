"""How the events of requests, reviews, locks and revocations are written: their names and members. Pure."""

from __future__ import annotations

from pgjit.audit.record_json import time_text
from pgjit.audit.record_members import key_member, window_member
from pgjit.audit.review_event import (
    BreakGlassSignedOff,
    BreakGlassUsed,
    LockLifted,
    LockSet,
    NotificationFailed,
    RequestEnded,
    RequestMade,
    ReviewEvent,
    SessionKilled,
    VerdictGiven,
    WindowAdopted,
    WindowRevoked,
)
from pgjit.grants.actor import Actor
from pgjit.grants.holder import Holder
from pgjit.grants.lock import Lock
from pgjit.grants.request import Request, Verdict
from pgjit.grants.window import Window

__all__ = ["review_members"]


def review_members(event: ReviewEvent) -> tuple[str, dict[str, object]]:
    """The record's name, and the members after its time."""
    kind, members = _of_request(event) or _of_order(event)
    return kind, members if event.entry is None else {**members, "entry": event.entry}


def _of_request(event: ReviewEvent) -> tuple[str, dict[str, object]] | None:
    match event:
        case RequestMade():
            return "request.made", _request(event.request)
        case VerdictGiven():
            return "request.verdict", {**_request(event.request), **_verdict(event.verdict)}
        case RequestEnded():
            return "request.ended", _ended(event.request)
        case _:
            return None


def _of_order(event: ReviewEvent) -> tuple[str, dict[str, object]]:
    match event:
        case WindowRevoked(window=window):
            by = None if window.revoked_by is None else _actor(window.revoked_by)
            return "window.revoked", {**_window(window), "reason": window.revoke_reason, "by": by}
        case WindowAdopted(window=window):
            return "window.adopted", {**_window(window), "node": event.node}
        case LockSet(lock=lock):
            return "lock.set", {"lock": _lock(lock), "reason": lock.reason, "by": _actor(lock.set_by)}
        case LockLifted():
            return "lock.lifted", {"lock": _lock(event.lock), "reason": event.reason, "by": _actor(event.by)}
        case SessionKilled(kill=kill):
            return "session.killed", {"session": kill.session_id, "reason": kill.reason, "by": _actor(kill.by)}
        case BreakGlassUsed():
            return "break_glass.used", {**_window(event.window), "reason": event.reason}
        case BreakGlassSignedOff(window=window):
            signed = window.signed_off
            by, comment = (None, None) if signed is None else (_actor(signed.by), signed.comment)
            return "break_glass.signed_off", {**_window(window), "comment": comment, "by": by}
        case NotificationFailed():
            names = ("channel", "subject", "attempts", "error")
            return "notification.failed", {name: getattr(event, name) for name in names}
        case _:
            raise TypeError(f"no record is known for {type(event).__name__}")


def _program(holder: Holder) -> dict[str, object]:
    return {"app_id": holder.app_id, "blueprint_id": holder.blueprint_id, "on_behalf_of": holder.on_behalf_of}


def _request(request: Request) -> dict[str, object]:
    ask = request.ask
    key = ask.identity
    holder = {} if ask.holder is None or ask.holder.is_person else _program(ask.holder)
    return {
        "identity": {
            "tid": key.tid,
            "oid": key.oid,
            "kind": request.kind.value,
            "display": request.display,
            **holder,
        },
        "policy": ask.policy,
        "policy_version": ask.policy_version,
        "request": request.id,
        "connection": ask.connection,
        "source": request.source,
        "reason": ask.reason,
        "ticket": ask.ticket,
        "ttl_seconds": ask.ttl.total_seconds(),
        "digest": ask.digest,
        "approvals": request.review.approvals,
    }


def _ended(request: Request) -> dict[str, object]:
    return {
        **_request(request),
        "state": request.state.value,
        "verdicts": [_verdict(each) for each in request.verdicts],
        "note": request.end_note,
        "window": None if request.window is None else {"id": request.window},
    }


def _verdict(verdict: Verdict) -> dict[str, object]:
    return {
        "verdict": verdict.verdict,
        "by": _actor(verdict.by),
        "comment": verdict.comment,
        "cap_seconds": None if verdict.ttl is None else verdict.ttl.total_seconds(),
        "decided_at": time_text(verdict.at),
    }


def _actor(actor: Actor) -> dict[str, object]:
    return {"tid": actor.key.tid, "oid": actor.key.oid, "display": actor.display, "via": actor.via}


def _lock(lock: Lock) -> dict[str, object]:
    until = None if lock.until is None else time_text(lock.until)
    return {"id": lock.id, "kind": lock.scope.kind.value, "target": lock.scope.target, "until": until}


def _window(window: Window) -> dict[str, object]:
    return {
        "identity": key_member(window.identity),
        "policy": window.policy,
        "window": window_member(window),
        "connection": window.connection,
        "request": window.request,
    }
