"""Announcements of the tests: of a request, as it is made and decided."""

from __future__ import annotations

from dataclasses import replace

from pgjit.grants.notification import QueuedNotification
from pgjit.grants.request import Request
from pgjit.grants.request_lifecycle import approve, refuse
from pgjit.grants.value_text import REQUEST_TEXT
from pgjit.notify.announcement import Announcement, announcement_of
from tests.contracts.store import NOW
from tests.grants.review_cast import CAROL, request, reviewer

__all__ = ["LINK", "a_request_made", "announced"]

LINK = "https://pgjit.test/{kind}/{id}"


def announced(
    event: str, body: str, subject: str = "r_1", *, attempt: int = 1, place: str | None = None
) -> Announcement:
    queued = QueuedNotification(
        id="n_1",
        channel="ops",
        event=event,
        subject=subject,
        body=body,
        created_at=NOW,
        attempt=attempt,
        earlier_place=place,
    )
    return announcement_of(queued, LINK)


def a_request_made(
    *, attempt: int = 1, reason: str = "why", place: str | None = None, verdict: str | None = None
) -> Announcement:
    """`verdict`: `approved` or `refused`, by Carol."""
    made = request()
    made = replace(made, id="r_1", ask=replace(made.ask, reason=reason))
    event, made = _decided(made, verdict)
    return announced(event, REQUEST_TEXT.write(made), attempt=attempt, place=place)


def _decided(made: Request, verdict: str | None) -> tuple[str, Request]:
    if verdict == "approved":
        return "request.approved", approve(made, reviewer(CAROL), NOW, comment="fine")
    if verdict == "refused":
        return "request.refused", refuse(made, reviewer(CAROL), NOW, reason="no *way* <!channel>")
    return "request.made", made
