"""Injects faults and counts requests, for each endpoint.

Decides which endpoint a path belongs to, counts the request, and delays, changes or replaces the response.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ENDPOINTS", "Fault", "FaultKind", "Faults", "endpoint_of"]

# First match wins. A fault for `graph` applies to every endpoint that begins with `graph.`.
_PATHS: Final = (
    ("managed-identity", re.compile(r"/metadata/identity/oauth2/token\Z|/msi/token\Z")),
    ("instance", re.compile(r"/[^/]+/discovery/instance\Z")),
    ("workload", re.compile(r"/workload/")),
    ("metadata", re.compile(r"/[^/]+/(v2\.0/)?\.well-known/openid-configuration\Z")),
    ("keys", re.compile(r"/[^/]+/discovery/(v2\.0/)?keys\Z")),
    ("token", re.compile(r"/[^/]+/oauth2/(v2\.0/)?token\Z")),
    ("device-code", re.compile(r"/[^/]+/oauth2/(v2\.0/)?devicecode\Z")),
    ("graph.checkMemberGroups", re.compile(r"/v1\.0/[^/]+/[^/]+/checkMemberGroups\Z")),
    ("graph.getMemberObjects", re.compile(r"/v1\.0/[^/]+/[^/]+/getMember(Objects|Groups)\Z")),
    ("graph.transitiveMemberOf", re.compile(r"/v1\.0/[^/]+/[^/]+/transitiveMemberOf\Z")),
    ("graph.principal", re.compile(r"/v1\.0/[^/]+(/[^/]+|\(appId='[^/]+'\))\Z")),
)
ENDPOINTS: Final = frozenset({name for name, _ in _PATHS} | {"graph"})
_MOST_BODY: Final = 8 * 1024 * 1024


def endpoint_of(path: str) -> str | None:
    return next((name for name, pattern in _PATHS if pattern.match(path)), None)


class FaultKind(StrEnum):
    SLOW = "slow"  # the response is sent after `seconds`
    DRIP = "drip"  # the response is sent byte by byte, one every `seconds`
    STATUS = "status"  # the response is `status`, with Retry-After if set
    BODY = "body"  # the response is status 200 with `body`
    RESET = "reset"  # the connection is reset
    CUT = "cut"  # half of the response is sent, then the connection is closed
    REDIRECT = "redirect"  # to `location`


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    kind: FaultKind
    seconds: float = 1.0
    status: int = 500
    retry_after: str | None = None
    body: str = "<html>not what you asked for</html>"
    content_type: str = "application/json"
    location: str = "http://127.0.0.1:9/"
    times: int | None = None  # for how many requests; None: until it is removed


class Faults:
    """ASGI middleware. `reset` breaks the connection from a client's address."""

    def __init__(self, reset: Callable[[tuple[str, int]], None]) -> None:
        self.counts: Counter[str] = Counter()
        self._set: dict[str, Fault] = {}
        self._reset = reset

    def put(self, endpoint: str, fault: Fault) -> None:
        if endpoint not in ENDPOINTS:
            raise ValueError(f"there is no endpoint `{endpoint}`; known: {', '.join(sorted(ENDPOINTS))}")
        self._set[endpoint] = fault

    def clear(self, endpoint: str | None = None) -> None:
        """All of them without a name."""
        if endpoint is None:
            self._set.clear()
        else:
            self._set.pop(endpoint, None)

    def state(self) -> dict[str, Fault]:
        return dict(self._set)

    def _take(self, endpoint: str) -> Fault | None:
        for name in (endpoint, endpoint.partition(".")[0]):
            fault = self._set.get(name)
            if fault is not None:
                if fault.times is not None:
                    if fault.times <= 1:
                        del self._set[name]
                    else:
                        self._set[name] = replace(fault, times=fault.times - 1)
                return fault
        return None

    def around(self, app: ASGIApp) -> ASGIApp:
        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            endpoint = endpoint_of(scope["path"]) if scope["type"] == "http" else None
            if endpoint is None:
                await app(scope, receive, send)
                return
            self.counts[endpoint] += 1
            fault = self._take(endpoint)
            if fault is None:
                await app(scope, receive, send)
            else:
                await self._with(fault, app, scope, receive, send)

        return served

    async def _with(self, fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        match fault.kind:
            case FaultKind.SLOW:
                await asyncio.sleep(fault.seconds)
                await app(scope, receive, send)
            case FaultKind.DRIP:
                await app(scope, receive, lambda message: _drip(message, send, fault.seconds))
            case FaultKind.CUT:
                await app(scope, receive, lambda message: _half(message, send))
                await self._break(scope, receive)
            case FaultKind.STATUS:
                headers = [("retry-after", fault.retry_after)] if fault.retry_after is not None else []
                await _send(send, fault.status, b'{"error":{"code":"fault","message":"on demand"}}', headers)
            case FaultKind.BODY:
                await _send(send, 200, fault.body.encode()[:_MOST_BODY], [], fault.content_type)
            case FaultKind.REDIRECT:
                await _send(send, 307, b"", [("location", fault.location)])
            case FaultKind.RESET:
                await self._break(scope, receive)

    async def _break(self, scope: Scope, receive: Receive) -> None:
        self._reset(tuple(scope["client"]))
        while (await receive())["type"] != "http.disconnect":
            continue


async def _send(
    send: Send, status: int, body: bytes, headers: list[tuple[str, str]], kind: str = "application/json"
) -> None:
    every = [("content-type", kind), ("content-length", str(len(body))), *headers]
    encoded = [(name.encode(), value.encode()) for name, value in every]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def _drip(message: Message, send: Send, seconds: float) -> None:
    if message["type"] != "http.response.body":
        await send(message)
        return
    for byte in message["body"]:
        await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        await asyncio.sleep(seconds)
    await send({"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)})


async def _half(message: Message, send: Send) -> None:
    """Send half of the body under the full Content-Length."""
    if message["type"] == "http.response.body":
        body = message["body"]
        message = {**message, "body": body[: len(body) // 2], "more_body": True}
    await send(message)
