"""A notification: one message about one change, for one channel. Values only.

A change is stored with its notice (`Notice`). A notice becomes a notification for each channel that subscribes to its
event. What a channel is, and how it sends, is the business of `pgjit/notify/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson

__all__ = [
    "LOUD_EVENTS",
    "NOTICE_KINDS",
    "SENT_FIRST",
    "Notice",
    "QueuedNotification",
    "WaitingNotifications",
    "event_of_notice",
]

NOTICE_KINDS = frozenset(
    {
        "request.made",
        "request.verdict",
        "request.ended",
        "window.revoked",
        "lock.set",
        "lock.lifted",
        "break_glass.used",
        "break_glass.signed_off",
    }
)
"""The records of the journal outbox that people may want to hear of."""
LOUD_EVENTS = frozenset({"break_glass.used", "sign_off.overdue"})
"""Somebody should look at them now."""
SENT_FIRST = LOUD_EVENTS | {"lock.set"}
"""They pass the others that wait for the channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`event`: such as `request.approved`. `body`: the JSON that the journal's record is made from as well.

    `key` is the same for the same notice, whoever adds it.
    """

    key: str
    event: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedNotification:
    """`id` stays the same in every attempt, so that a receiver recognises a repeat.

    `missing`: the recipients that no attempt has reached; None: all of them. `place`: where the channel put its
    message, such as Slack's channel and timestamp. `earlier_place`: that of the channel's latest message about the
    same subject.
    """

    id: str
    channel: str
    event: str
    subject: str
    body: str
    created_at: datetime
    attempt: int = 0  # of the claim that this value comes from, from 1
    error: str | None = None  # of the attempt before
    missing: tuple[str, ...] | None = None
    place: str | None = None
    earlier_place: str | None = None


@dataclass(frozen=True, slots=True)
class WaitingNotifications:
    """Those of a channel that are neither sent nor given up."""

    count: int
    since: datetime  # when the oldest of them was made


def event_of_notice(kind: str, note: str) -> str:
    """The event of a journal entry. That of `request.ended` names the state; of an unreadable one, nobody hears."""
    if kind != "request.ended":
        return kind
    try:
        return f"request.{orjson.loads(note)['state']}"
    except (ValueError, KeyError, TypeError):
        return kind
