"""The channel `slack`: messages with buttons, rewritten when the request is decided, by whatever way.

Where a message is (channel and timestamp) is its place in the store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from pgjit.errors import PgjitError
from pgjit.grants.request import Request, RequestState
from pgjit.grants.request_refusals import RequestUnknown
from pgjit.grants.requests import Requests
from pgjit.notify.announcement import Announcement
from pgjit.notify.channel import NotSent
from pgjit.notify.people import People
from pgjit.notify.section import SlackSection
from pgjit.notify.slack_blocks import blocks, fallback_text
from pgjit.notify.slack_socket import SlackSocket
from pgjit.notify.slack_web import SlackWeb

__all__ = ["Slack"]

_NEWS_TO_REQUESTER = ("request.approved", "request.refused", "request.lapsed")
_GONE = ("message_not_found", "cant_update_message", "edit_window_closed")


class Slack:
    """`socket`: receives the clicks; None: the messages have no buttons."""

    def __init__(
        self,
        section: SlackSection,
        web: SlackWeb,
        requests: Requests | None,
        people: People,
        socket: SlackSocket | None,
    ) -> None:
        self._section = section
        self._web = web
        self._requests = requests
        self._people = people
        self._socket = socket

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if self._socket is not None:
                await stack.enter_async_context(self._socket.running())
            yield

    async def send(self, announcement: Announcement) -> str | None:
        decide = self._socket is not None and await self._is_pending(announcement.request)
        content = {
            "text": fallback_text(announcement),
            "blocks": blocks(announcement, decide=decide, mentioned=self._mentioned(announcement, decide=decide)),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if announcement.request is not None and announcement.earlier_place is not None:
            channel, _, ts = announcement.earlier_place.partition("/")
            if await self._rewrite({**content, "channel": channel, "ts": ts}):
                await self._reply(announcement, announcement.request, channel, ts)
                return None
        answer = await self._web.call("chat.postMessage", {**content, "channel": self._section.channel})
        return f"{answer.get('channel', self._section.channel)}/{answer.get('ts', '')}"

    async def _reply(self, announcement: Announcement, request: Request, channel: str, ts: str) -> None:
        """A rewritten message notifies nobody: mention the requester in a reply, if it has an address here."""
        person = self._people.of_key(request.ask.identity)
        if person is None or person.slack is None or announcement.event not in _NEWS_TO_REQUESTER:
            return
        text = f"<@{person.slack}> {fallback_text(announcement)}"
        await self._web.call("chat.postMessage", {"channel": channel, "thread_ts": ts, "text": text})

    async def _rewrite(self, body: dict[str, Any]) -> bool:
        """False if the message cannot be changed any more: a new one is posted then."""
        try:
            await self._web.call("chat.update", body)
        except NotSent as fault:
            if str(fault) not in _GONE:
                raise
            return False
        return True

    async def _is_pending(self, request: Request | None) -> bool:
        """Whether it still is: a message that comes late has no button for what was decided meanwhile."""
        if self._requests is None or request is None or request.state is not RequestState.PENDING:
            return False
        try:
            return (await self._requests.get(request.id)).state is RequestState.PENDING
        except RequestUnknown:
            return False
        except PgjitError as fault:
            raise NotSent(fault.message) from None

    def _mentioned(self, announcement: Announcement, *, decide: bool) -> list[str]:
        if not (decide and self._section.mention and announcement.request is not None):
            return []
        return [each.slack for each in self._people.to_notify(announcement.request) if each.slack is not None]
