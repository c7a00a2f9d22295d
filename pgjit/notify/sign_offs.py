"""The sign-offs that are due: of break-glass windows that are over and that nobody has signed off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import orjson

from pgjit.grants.listing import WindowFilter
from pgjit.grants.notification import Notice
from pgjit.grants.store import Store
from pgjit.grants.value_text import WINDOW
from pgjit.policy.policy import Policy

__all__ = ["sign_off_notices"]

_BY_DEFAULT = timedelta(hours=24)
"""The terms of a window whose policy is gone."""
_AT_ONCE = 200


async def sign_off_notices(
    store: Store, policies: Callable[[str], Policy | None], event: str, now: datetime
) -> list[Notice]:
    """`sign_off.due` for every window that is over; `sign_off.overdue` when the time for it has passed as well."""
    notices, cursor = [], None
    while True:
        page = await store.windows(WindowFilter(ended=True, unsigned=True), cursor, _AT_ONCE)
        for window in page.items:
            if window.ended_at is None:
                continue
            policy = policies(window.policy)
            due_at = window.ended_at + (_BY_DEFAULT if policy is None else policy.terms.sign_off_within)
            if event == "sign_off.due" or now >= due_at:
                body = orjson.dumps({"window": WINDOW.write(window), "due_at": due_at}).decode()
                notices.append(Notice(key=f"{event}:{window.id}", event=event, subject=window.id, body=body))
        cursor = page.next
        if cursor is None:
            return notices
