"""The Socket Mode connection of a Slack app: acknowledges what comes, and passes clicks on.

Decides when to connect again: at once after a disconnect, and more and more slowly while Slack refuses the token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from pgjit.identity.url_checks import is_loopback
from pgjit.notify.slack_web import SlackWeb, error_name
from pgjit.server.credential import CredentialUnavailable, LoginCredential

__all__ = ["SlackSocket"]

_log = logging.getLogger("pgjit.notify.slack")
_FIRST_DELAY, _LONGEST_DELAY = 5.0, 300.0
_MOST_AT_ONCE = 32


class SlackSocket:
    """`handle`: is called with the payload of each click or dialog, in a task of its own. It raises nothing."""

    def __init__(
        self,
        web: SlackWeb,
        app_token: LoginCredential,
        handle: Callable[[dict[str, Any]], Awaitable[None]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        ping_seconds: float = 5.0,
        address_seconds: float = 20.0,
    ) -> None:
        """`ping_seconds`: also between two attempts to connect. `address_seconds`: how long an address is used."""
        self._ping_seconds = ping_seconds
        self._address_seconds = address_seconds
        self._web = web
        self._app_token = app_token
        self._handle = handle
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        client = _PatientClient(self._web, self._app_token, self._sleep, self._ping_seconds, self._address_seconds)
        client.socket_mode_request_listeners.append(self._take)
        connecting = asyncio.create_task(client.connect())  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            connecting.cancel()
            client.closed = True
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(connecting, *self._tasks, return_exceptions=True)
            loops = (client.message_processor, client.current_session_monitor, client.message_receiver)
            await client.close()  # type: ignore[no-untyped-call]
            await asyncio.gather(*(loop for loop in loops if loop is not None), return_exceptions=True)

    async def _take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Slack expects the acknowledgement within three seconds. What was clicked is decided afterwards."""
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        if request.type != "interactive" or not isinstance(request.payload, dict):
            return
        if len(self._tasks) >= _MOST_AT_ONCE:
            _log.warning("a click in Slack is dropped: %d others are being handled", len(self._tasks))
            return
        task = asyncio.create_task(self._run(request.payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, payload: dict[str, Any]) -> None:
        await self._handle(payload)


class _PatientClient(SocketModeClient):
    def __init__(
        self,
        web: SlackWeb,
        app_token: LoginCredential,
        sleep: Callable[[float], Awaitable[None]],
        ping_seconds: float,
        address_seconds: float,
    ) -> None:
        self._address: str | None = None
        self._address_at = 0.0
        self._address_seconds = address_seconds
        super().__init__(app_token="", logger=_log, web_client=web.client(), ping_interval=ping_seconds)
        if self.web_client.proxy is None:
            self.proxy = None
        self._app_token = app_token
        self._sleep = sleep

    @property  # type: ignore[override]
    def wss_uri(self) -> str | None:
        """None when it is too old: Slack accepts an address for half a minute, and the SDK would try it for ever."""
        fresh = asyncio.get_running_loop().time() - self._address_at <= self._address_seconds
        return self._address if fresh else None

    @wss_uri.setter
    def wss_uri(self, address: str | None) -> None:
        self._address, self._address_at = address, asyncio.get_running_loop().time()

    async def issue_new_wss_url(self) -> str:
        """The address of a new socket. While Slack refuses, it is requested more and more slowly."""
        delay = _FIRST_DELAY
        while True:
            try:
                self.app_token = await self._app_token.secret()
                address = str(await super().issue_new_wss_url())
                url = httpx.URL(address)
                if url.scheme == "wss" or (url.scheme == "ws" and is_loopback(url.host)):
                    return address
                why = "the address of the socket is not wss"
            except CredentialUnavailable as fault:
                why = str(fault)
            except SlackApiError as fault:
                why = error_name(fault)
            except (TimeoutError, OSError, httpx.InvalidURL, ValueError) as fault:
                why = type(fault).__name__
            _log.error("no clicks arrive from Slack: no connection by Socket Mode: %s; next try in %ds", why, delay)
            await self._sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
