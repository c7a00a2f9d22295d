"""The channel `webhook`: signed messages to a program, by the Standard Webhooks specification.

A repeat has the same `webhook-id` and the same body; `pgjit-attempt` counts the attempts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import httpx

from pgjit.notify.announcement import Announcement
from pgjit.notify.channel import NotSent
from pgjit.notify.http_post import post, posting_client
from pgjit.notify.webhook_signature import read_keys, signatures
from pgjit.server.credential import CredentialUnavailable, LoginCredential

__all__ = ["Webhook"]


class Webhook:
    def __init__(
        self,
        url: str,
        secret: LoginCredential,
        clock: Callable[[], datetime],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock
        self._client = posting_client(url, transport)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._client:
            yield

    async def send(self, announcement: Announcement) -> None:
        try:
            keys = read_keys(await self._secret.secret())
        except CredentialUnavailable as fault:
            raise NotSent(str(fault), report=True) from None
        except ValueError as fault:
            raise NotSent(f"the secret {fault}", report=True) from None
        timestamp, body = int(self._clock().timestamp()), announcement.json
        headers = {
            "webhook-id": announcement.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signatures(keys, announcement.id, timestamp, body),
            "pgjit-attempt": str(announcement.attempt),
        }
        await post(self._client, self._url, body, headers)
