"""The events that a channel can subscribe to, and those that it gets if it names none. Values only."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["BY_DEFAULT", "EVENTS", "EventName"]

EventName = Literal[
    "request.made",
    "request.verdict",
    "request.approved",
    "request.refused",
    "request.lapsed",
    "request.withdrawn",
    "request.used",
    "break_glass.used",
    "break_glass.signed_off",
    "sign_off.due",
    "sign_off.overdue",
    "window.revoked",
    "lock.set",
    "lock.lifted",
    "test",
]
EVENTS: tuple[EventName, ...] = get_args(EventName)

BY_DEFAULT: tuple[EventName, ...] = tuple(
    each for each in EVENTS if each not in ("request.verdict", "request.used", "test")
)
"""A verdict that does not decide, and the use of an approval, are news to few."""
