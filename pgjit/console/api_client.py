"""Calls of the HTTP API, in the same process: what a page reads and changes.

Decides how a call travels: as an ASGI request to the API's gate, with the person's access token and the address of
the browser. So it passes the same checks and leaves the same records as a call from outside. Knows no endpoint.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from starlette.types import ASGIApp, Message, Scope

from pgjit.api.http_api import PREFIX
from pgjit.console.refusals import ConsoleApiProblem

__all__ = ["ApiStream", "ConsoleApi", "Query", "StreamCut"]

Query = Mapping[str, object]
"""The query of a call. A value None is left out, a bool is written `true` or `false`, a list is repeated."""
_CHUNKS: Final = 16  # of a stream that wait for its reader


class StreamCut(Exception):
    """The API stopped in the middle of a response."""


class ConsoleApi:
    """The API as one person may use it. Paths are relative to `/api/v1` and begin with `/`."""

    def __init__(self, api: ASGIApp, token: str, client: tuple[str, int] | None) -> None:
        """`client`: address and port of the browser."""
        self._api = api
        self._token = token
        self._client = client

    async def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """The JSON object that the API returns. Raises ConsoleApiProblem."""
        return await self._object("GET", path, query)

    async def post(
        self, path: str, body: Mapping[str, object] | None = None, *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """The JSON object that the API returns. Members of `body` that are None are left out.

        Raises ConsoleApiProblem.
        """
        return await self._object("POST", path, None, body or {}, idempotency_key)

    async def delete(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """The JSON object that the API returns, empty if it returns none. Raises ConsoleApiProblem."""
        return await self._object("DELETE", path, query)

    async def _object(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: Mapping[str, object] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        headers = {} if key is None else {"idempotency-key": key}
        call = _Call(self._scope(method, path, query, headers), _json(body))
        await self._api(call.scope, call.receive, call.collect)
        text = b"".join(call.chunks)
        if call.status >= 400:
            raise _problem(call, text)
        read = orjson.loads(text) if text else {}
        assert isinstance(read, dict)
        return read

    async def stream(
        self,
        path: str,
        query: Query | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> ApiStream:
        """A response that is read while the API writes it: events, CSV. Raises ConsoleApiProblem before its head.

        `body`: of a POST.
        """
        call = _Call(self._scope("GET" if body is None else "POST", path, query, headers or {}), _json(body))

        async def run() -> None:
            await self._api(call.scope, call.receive, call.forward)
            await call.queue.put(None)  # also where the API gave up: nobody waits for what does not come

        stream = ApiStream(call, asyncio.create_task(run()))
        try:
            await stream.begun()
        except BaseException:
            await stream.aclose()
            raise
        return stream

    def _scope(self, method: str, path: str, query: Query | None, headers: Mapping[str, str]) -> Scope:
        whole = PREFIX + path
        written = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": whole,
            "raw_path": quote(whole).encode("ascii"),
            "query_string": _query(query or {}),
            "root_path": "",
            "headers": [
                (b"authorization", f"Bearer {self._token}".encode("ascii")),
                (b"content-type", b"application/json"),
                *written,
            ],
            "client": self._client,
            "server": None,
            "state": {},
        }


class ApiStream:
    """An async iterator of the bytes of a response. Closed when it was read to its end, or by `aclose`.

    Raises StreamCut where the API gave up: what was read is not all, and must not look as if it were.
    """

    def __init__(self, call: _Call, task: asyncio.Task[None]) -> None:
        self._call = call
        self._task = task

    @property
    def media_type(self) -> str:
        return self._call.headers.get("content-type", "application/octet-stream")

    @property
    def headers(self) -> Mapping[str, str]:
        return self._call.headers

    async def begun(self) -> None:
        """Wait for the head of the response. Raises ConsoleApiProblem."""
        begun = asyncio.create_task(self._call.begun.wait())
        try:
            await asyncio.wait({self._task, begun}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            begun.cancel()
        if self._call.status >= 400 or not self._call.begun.is_set():
            text = b"".join([chunk async for chunk in self])
            raise _problem(self._call, text)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        queue = self._call.queue
        try:
            while (chunk := await queue.get()) is not None:
                yield chunk
            if self._call.begun.is_set() and not self._call.complete:
                raise StreamCut
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """The API ends the response."""
        self._call.gone.set()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class _Call:
    """One request and its response, as the ASGI application sees them."""

    def __init__(self, scope: Scope, body: bytes) -> None:
        self.scope = scope
        self.status = 500
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(_CHUNKS)  # None: the end
        self.begun = asyncio.Event()
        self.complete = False  # the response was sent whole
        self.gone = asyncio.Event()
        self._body: bytes | None = body

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def collect(self, message: Message) -> None:
        self._note(message)
        if message["type"] == "http.response.body":
            self.chunks.append(message.get("body", b""))

    async def forward(self, message: Message) -> None:
        self._note(message)
        if message["type"] != "http.response.body":
            return
        if body := message.get("body", b""):
            await self.queue.put(body)
        self.complete = not message.get("more_body", False)

    def _note(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            self.begun.set()


def _json(body: Mapping[str, object] | None) -> bytes:
    if body is None:
        return b""
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


def _query(query: Query) -> bytes:
    pairs = [
        (name, _text(each))
        for name, value in query.items()
        if value is not None
        for each in (value if isinstance(value, (list, tuple)) else [value])
    ]
    return urlencode(pairs).encode("ascii")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problem(call: _Call, text: bytes) -> ConsoleApiProblem:
    try:
        problem = json.loads(text)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": "call failed", "status": call.status, "reference": "internal-error"}
    after = call.headers.get("retry-after", "")
    return ConsoleApiProblem(call.status, problem, int(after) if after.isdecimal() else None)
