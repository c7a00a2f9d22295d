"""One reader's stream of events (Server-Sent Events).

Decides what a reader sees, how often its rights are checked again, and when the stream ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from pgjit.api.caller import Caller, CallerRole
from pgjit.api.event_feed import EventFeed, FeedEvent
from pgjit.api.live_sessions import LIVE_SECONDS, LiveSessions
from pgjit.errors import PgjitError
from pgjit.grants.reviewers import Reviewer
from pgjit.policy.policy import Policy
from pgjit.turns import take_turn

__all__ = ["EventStream"]

_SECONDS = 15.0  # between two comments; the rights are checked again then
_CHANGE_SECONDS = 5.0  # between two events `changed`
_RETRY_MS = 3000
_PAUSE_SECONDS = 0.5
"""After events: those that happen meanwhile are sent together. So a reader costs the same however many there are."""


class EventStream:
    """`check` returns the caller as it is now, or raises PgjitError if the token or the account is not accepted."""

    def __init__(
        self,
        feed: EventFeed,
        policies: Mapping[str, Policy],
        caller: Caller,
        check: Callable[[], Awaitable[Caller]],
        *,
        live: LiveSessions | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        """`live`: the sessions are sent as well, as events `live`, whenever they have changed."""
        self._feed = feed
        self._policies = policies
        self._caller = caller
        self._check = check
        self._live = live
        self._sent_live = ""
        self._seen_changes = feed.changes
        self._next_change = 0.0  # when the next event `changed` may be sent, by the monotonic clock
        self._seconds = seconds

    async def text(self, last_id: str | None) -> AsyncIterator[str]:
        """Whole events, some of them together.

        INVARIANT: no event is sent later than one interval after the rights to it were last checked."""
        feed = self._feed
        yield f"retry: {_RETRY_MS}\n\n"
        position = feed.position(last_id)
        check_at = time.monotonic() + self._seconds
        while not feed.closed:
            events = None if position is None else feed.after(position)
            if events is None or position is None:
                position = feed.latest
                yield "event: gap\ndata: {}\n\n"
                continue
            seen = [self._written(event) for event in events if self._sees(event)]
            if events:
                position = events[-1].seq
            if text := "".join([*seen, self._changed_sessions(), self._changed_store()]):
                yield text
            if seen:
                await feed.pause(_PAUSE_SECONDS)
            await feed.wait(position, max(0.0, self._next_look(check_at) - time.monotonic()))
            await take_turn()  # what has come, has come for a hundred readers perhaps: each of them is written to
            if time.monotonic() < check_at:
                continue
            check_at = time.monotonic() + self._seconds
            try:
                self._caller = await self._check()
            except PgjitError as refused:
                yield f"event: end\ndata: {json.dumps({'reference': refused.reference})}\n\n"
                return
            yield ": still here\n\n"

    def _changed_sessions(self) -> str:
        """Without an id: it is a state, and a reader that missed one misses nothing."""
        text = "" if self._live is None else self._live.text(self._caller)
        if text == self._sent_live:
            return ""
        self._sent_live = text
        return f"event: live\ndata: {text}\n\n"

    def _changed_store(self) -> str:
        """It does not reveal what has changed, so everybody may know it."""
        now = time.monotonic()
        if self._feed.changes == self._seen_changes or now < self._next_change:
            return ""
        self._seen_changes, self._next_change = self._feed.changes, now + _CHANGE_SECONDS
        return "event: changed\ndata: {}\n\n"

    def _next_look(self, check_at: float) -> float:
        looks = [check_at]
        if self._live is not None:
            looks.append(time.monotonic() + LIVE_SECONDS)
        if self._feed.changes != self._seen_changes:
            looks.append(self._next_change)
        return min(looks)

    def _sees(self, event: FeedEvent) -> bool:
        caller = self._caller
        if caller.reads_all or event.identity == caller.key:
            return True
        if event.kind.startswith("session."):
            return False  # as `GET sessions`
        policy = self._policies.get(str(event.record.get("policy")))
        review = None if policy is None else policy.terms.review
        reviewer = Reviewer.of(caller.identity, "api")
        return CallerRole.REVIEWER in caller.roles and review is not None and reviewer.is_named_by(review)

    def _written(self, event: FeedEvent) -> str:
        return f"id: {self._feed.id_of(event)}\nevent: {event.kind}\ndata: {event.data}\n\n"
