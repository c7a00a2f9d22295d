"""A stand-in for Slack: the Web API methods that pgjit calls, and Socket Mode over a real websocket."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

__all__ = ["APP", "BOT", "SlackStandIn", "slack_stand_in"]

BOT, APP = "xoxb-bot", "xapp-app"


class SlackStandIn:
    """`fails`: the error of a method, as long as it is there. `calls`: (method, body), in order."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fails: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.acknowledged: list[str] = []
        self.opened = 0
        self.refused_sockets = 0
        self.bot, self.app = BOT, APP
        self._sockets: list[web.WebSocketResponse] = []
        self._changed = asyncio.Condition()

    def of(self, method: str) -> list[dict[str, Any]]:
        return [body for name, body in self.calls if name == method]

    async def until(self, method: str, count: int = 1) -> dict[str, Any]:
        """The body of the last call, once there are as many."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: len(self.of(method)) >= count)
        return self.of(method)[-1]

    async def until_connected(self, times: int = 1) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: self.opened >= times)

    async def click(self, payload: dict[str, Any]) -> str:
        """Send what a user did to the newest socket; returns the envelope's id."""
        envelope = uuid.uuid4().hex
        message = {"type": "interactive", "envelope_id": envelope, "accepts_response_payload": True}
        await self._sockets[-1].send_str(json.dumps({**message, "payload": payload}))
        return envelope

    async def disconnect(self) -> None:
        await self._sockets[-1].send_str(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))

    async def until_acknowledged(self, envelope: str) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: envelope in self.acknowledged)

    # --- the server ------------------------------------------------------------------------------------

    async def answer(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        body = await request.json() if request.content_type == "application/json" else dict(await request.post())
        async with self._changed:
            self.calls.append((method, body))
            self._changed.notify_all()
        expected = self.app if method == "apps.connections.open" else self.bot
        error = self.fails.get(method) or (None if token == expected else "invalid_auth")
        if error is not None:
            status = 429 if error == "ratelimited" else 200
            return web.json_response({"ok": False, "error": error}, status=status, headers=self.headers)
        if method == "apps.connections.open":
            return web.json_response({"ok": True, "url": self.url.replace("http", "ws").replace("/api/", "/socket")})
        answer = {"ok": True, "channel": body.get("channel"), "ts": f"17{len(self.calls)}.5"}
        return web.json_response(answer)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        if self.refused_sockets:
            self.refused_sockets -= 1
            return web.Response(status=404)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        await socket.send_str(json.dumps({"type": "hello", "num_connections": 1}))
        async with self._changed:
            self.opened += 1
            self._changed.notify_all()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                async with self._changed:
                    self.acknowledged.append(json.loads(message.data)["envelope_id"])
                    self._changed.notify_all()
        return socket


@asynccontextmanager
async def slack_stand_in() -> AsyncIterator[SlackStandIn]:
    made = SlackStandIn()
    app = web.Application()
    app.router.add_post("/api/{method}", made.answer)
    app.router.add_get("/socket", made.socket)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    try:
        yield made
    finally:
        await runner.cleanup()
