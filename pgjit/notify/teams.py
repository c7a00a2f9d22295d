"""The channel `teams`: an Adaptive Card, posted to the webhook of a Teams workflow. It decides nothing; it links.

The texts of facts are shown as they are: Markdown in them is escaped.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from pgjit.notify.announcement import Announcement
from pgjit.notify.channel import NotSent
from pgjit.notify.http_post import post, posting_client
from pgjit.notify.plain_text import cut, one_line
from pgjit.notify.section import url_fault
from pgjit.server.credential import CredentialUnavailable, LoginCredential

__all__ = ["Teams", "card"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&@:])")
_LONGEST_FACT = 1000
"""A card has at most 28 KB, and each escaped character doubles."""


class Teams:
    def __init__(self, url: LoginCredential, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._transport = transport

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    async def send(self, announcement: Announcement) -> None:
        try:
            url = (await self._url.secret()).strip()
        except CredentialUnavailable as fault:
            raise NotSent(str(fault), report=True) from None
        if fault_of_url := url_fault(url):
            raise NotSent(f"the URL of the workflow {fault_of_url}", report=True)
        async with posting_client(url, self._transport) as client:
            await post(client, url, orjson.dumps(card(announcement)), {})


def card(announcement: Announcement) -> dict[str, Any]:
    """The message: one Adaptive Card."""
    title = announcement.title + (" (repeated)" if announcement.repeat else "")
    heading = {
        "type": "TextBlock",
        "text": _escaped(title),
        "weight": "Bolder",
        "size": "Medium",
        "wrap": True,
        "color": "Attention" if announcement.loud else "Default",
    }
    facts = [
        {"title": name, "value": _escaped(cut(one_line(text), _LONGEST_FACT))} for name, text in announcement.facts
    ]
    content: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [heading, {"type": "FactSet", "facts": facts}],
    }
    if announcement.link is not None:
        content["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": announcement.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": content}
    return {"type": "message", "attachments": [attachment]}


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
