"""A notification as people read it, whatever the channel: a title, facts, a link. And as programs do: `data`. Pure.

INVARIANT: a title consists of pgjit's own words and of names from its configuration. The values of facts were written
by anybody: each channel escapes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from pgjit.api.grant_shapes import ActorJson, LockJson, RequestJson, WindowJson
from pgjit.errors import utc_text
from pgjit.grants.lock import Lock
from pgjit.grants.notification import LOUD_EVENTS, QueuedNotification
from pgjit.grants.request import Request, RequestState
from pgjit.grants.value_text import ACTOR, LOCK, REQUEST_TEXT, WINDOW
from pgjit.grants.window import Window

__all__ = ["Announcement", "announcement_of"]

_Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """`repeat`: an earlier attempt may have arrived. `loud`: somebody should look at it now.

    `missing`: the recipients that no attempt has reached; None: all of them.
    """

    id: str
    event: str
    attempt: int
    created_at: datetime
    subject: str
    title: str
    facts: _Facts
    data: dict[str, Any]
    link: str | None = None
    request: Request | None = None
    earlier_place: str | None = None
    missing: tuple[str, ...] | None = None

    @property
    def repeat(self) -> bool:
        return self.attempt > 1

    @property
    def loud(self) -> bool:
        return self.event in LOUD_EVENTS

    @property
    def json(self) -> bytes:
        """For programs. The same bytes in every attempt."""
        return orjson.dumps({"type": self.event, "timestamp": self.created_at, "data": self.data})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    title: str
    facts: _Facts
    data: dict[str, Any]
    request: Request | None = None


def announcement_of(notification: QueuedNotification, link: str | None = None) -> Announcement:
    """`link`: a template with `{kind}` and `{id}`. Raises ValueError, KeyError or TypeError for a foreign body."""
    event = notification.event
    content = _READ[event.partition(".")[0]](event, notification.body)
    kind, _, _ = event.partition(".")
    kind = {"break_glass": "window", "sign_off": "window"}.get(kind, kind)
    return Announcement(
        id=notification.id,
        event=event,
        attempt=notification.attempt,
        created_at=notification.created_at,
        subject=notification.subject,
        title=content.title,
        facts=tuple((name, text) for name, text in content.facts if text),
        data=content.data,
        link=None if link is None else link.replace("{kind}", kind).replace("{id}", notification.subject),
        request=content.request,
        earlier_place=notification.earlier_place,
        missing=notification.missing,
    )


def _of_request(event: str, body: str) -> _Content:
    request = REQUEST_TEXT.read(body)
    policy = request.ask.policy
    titles = {
        "request.made": f"Access requested under policy {policy}",
        "request.verdict": f"A verdict about a request under policy {policy}",
        "request.approved": f"Request approved under policy {policy}",
        "request.refused": f"Request refused under policy {policy}",
        "request.lapsed": f"Request lapsed under policy {policy}",
        "request.withdrawn": f"Request withdrawn under policy {policy}",
        "request.used": f"Approved request used under policy {policy}",
    }
    data = RequestJson.of(request).model_dump(mode="json")
    return _Content(title=titles[event], facts=_facts_of(request), data=data, request=request)


def _facts_of(request: Request) -> _Facts:
    ask = request.ask
    said = {"approved": "approved by", "refused": "refused by"}
    verdicts = [
        (said[each.verdict], each.by.display + (f": {each.comment}" if each.comment else ""))
        for each in request.verdicts
    ]
    pending = request.state is RequestState.PENDING
    who = request.display if ask.holder is None else ask.holder.text(request.display)
    needs = request.review.approvals
    return (
        ("requester", f"{who} ({ask.identity.tid}/{ask.identity.oid})"),
        ("connection", ask.connection),
        ("reason", ask.reason),
        ("ticket", ask.ticket or ""),
        ("for", str(request.ttl)),
        *verdicts,
        ("note", request.end_note or ""),
        ("needs", f"{needs} approvals" if pending and needs > 1 else ""),
        ("lapses at", utc_text(request.lapses_at) if pending else ""),
        ("open by", utc_text(request.open_by) if request.state is RequestState.APPROVED and request.open_by else ""),
        ("request", request.id),
    )


def _of_window(event: str, body: str) -> _Content:
    window = WINDOW.read(body)
    assert event == "window.revoked"
    by = "" if window.revoked_by is None else window.revoked_by.display
    facts = (*_window_facts(window), ("revoked by", by), ("reason", window.revoke_reason or ""))
    return _Content(
        title=f"Window revoked under policy {window.policy}",
        facts=facts,
        data=_window_data(window, window.revoked_at),
    )


def _of_break_glass(event: str, body: str) -> _Content:
    if event == "break_glass.used":
        note = orjson.loads(body)
        window, reason = WINDOW.read(note["window"]), note["reason"]
        return _Content(
            title=f"Break-glass access under policy {window.policy}: a person has to sign it off",
            facts=(*_window_facts(window), ("reason", reason or "none given"), ("sign off", _command(window))),
            data={**_window_data(window, window.opened_at), "ask_reason": reason},
        )
    window = WINDOW.read(body)
    signed = window.signed_off
    by, comment = ("", "") if signed is None else (signed.by.display, signed.comment)
    return _Content(
        title=f"Break-glass access signed off under policy {window.policy}",
        facts=(*_window_facts(window), ("signed off by", by), ("comment", comment)),
        data=_window_data(window, None if signed is None else signed.at),
    )


def _of_sign_off(event: str, body: str) -> _Content:
    note = orjson.loads(body)
    window, due_at = WINDOW.read(note["window"]), datetime.fromisoformat(note["due_at"])
    state = "overdue" if event == "sign_off.overdue" else "due"
    return _Content(
        title=f"Sign-off {state}: break-glass access under policy {window.policy}",
        facts=(*_window_facts(window), ("due at", utc_text(due_at)), ("sign off", _command(window))),
        data={**_window_data(window, window.ended_at), "due_at": due_at},
    )


def _command(window: Window) -> str:
    return f"pgjit sign-off {window.id} --comment '...'"


def _window_facts(window: Window) -> _Facts:
    who = f"{window.identity.tid}/{window.identity.oid}"
    return (
        ("identity", who if window.holder is None else window.holder.text(who)),
        ("connection", window.connection),
        ("opened at", utc_text(window.opened_at)),
        ("ends at", utc_text(window.ends_at) if window.ended_at is None else ""),
        ("ended at", "" if window.ended_at is None else utc_text(window.ended_at)),
        ("window", window.id),
    )


def _window_data(window: Window, at: datetime | None) -> dict[str, Any]:
    """As it was at that moment. How many sessions it has is known to its node only."""
    return WindowJson.of(window, at or window.opened_at, 0).model_dump(mode="json", exclude={"sessions"})


def _of_lock(event: str, body: str) -> _Content:
    if event == "lock.set":
        lock = LOCK.read(body)
        until = "it is lifted" if lock.until is None else utc_text(lock.until)
        facts: _Facts = (
            ("reason", lock.reason),
            ("set by", lock.set_by.display),
            ("until", until),
            ("lock", lock.id),
        )
        return _Content(title=f"Locked: {_target(lock)}", facts=(_scope_fact(lock), *facts), data=_lock_data(lock))
    note = orjson.loads(body)
    lock, by = LOCK.read(note["lock"]), ACTOR.read(note["by"])
    facts = (("reason", note["reason"]), ("lifted by", by.display), ("lock", lock.id))
    data = {**_lock_data(lock), "lifted_by": ActorJson.of(by).model_dump(mode="json"), "lift_reason": note["reason"]}
    return _Content(title=f"Lock lifted: {_target(lock)}", facts=(_scope_fact(lock), *facts), data=data)


def _target(lock: Lock) -> str:
    """The kind alone: whoever sets a lock writes its target."""
    return "everything" if lock.scope.target is None else f"one {lock.scope.kind.value}"


def _scope_fact(lock: Lock) -> tuple[str, str]:
    return (lock.scope.kind.value, lock.scope.target or "")


def _lock_data(lock: Lock) -> dict[str, Any]:
    return LockJson.of(lock).model_dump(mode="json")


def _of_test(_event: str, _body: str) -> _Content:
    return _Content(title="Test message", facts=(("from", "pgjit notify test"),), data={})


_READ: dict[str, Callable[[str, str], _Content]] = {
    "request": _of_request,
    "window": _of_window,
    "break_glass": _of_break_glass,
    "sign_off": _of_sign_off,
    "lock": _of_lock,
    "test": _of_test,
}
