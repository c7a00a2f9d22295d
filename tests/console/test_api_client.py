"""Calls of the HTTP API in the same process: as a call from outside, with the person's token and address."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from pgjit.console.api_client import ConsoleApi, StreamCut
from pgjit.console.refusals import ConsoleApiProblem


class Answering:
    """An ASGI application that keeps what it was called with."""

    def __init__(self, status: int = 200, body: bytes = b"{}", headers: dict[str, str] | None = None) -> None:
        self.status, self.body, self.headers = status, body, headers or {}
        self.scope: Scope = {}
        self.sent = b""
        self.ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.sent = (await receive())["body"]
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await self.write(send)

    async def write(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": self.body})


class Endless(Answering):
    async def write(self, send: Send) -> None:
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 10, "more_body": True})
        finally:
            self.ended.set()


class Broken(Answering):
    """It fails in the middle, as behind a gate that logs it: the application returns."""

    async def write(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": b"a,b\n", "more_body": True})


def api(application: Answering) -> ConsoleApi:
    return ConsoleApi(application, "a-token", ("10.0.0.9", 40000))


async def test_a_call_has_the_persons_token_and_address() -> None:
    answering = Answering(body=b'{"a": 1}')
    query: dict[str, Any] = {"state": "a b&c", "none": None, "yes": True, "many": ["1", "2"], "number": 3}
    assert await api(answering).get("/requests/r é", query) == {"a": 1}
    assert answering.scope["client"] == ("10.0.0.9", 40000)
    assert (b"authorization", b"Bearer a-token") in answering.scope["headers"]
    assert (answering.scope["method"], answering.scope["path"]) == ("GET", "/api/v1/requests/r é")
    assert answering.scope["query_string"] == b"state=a+b%26c&yes=true&many=1&many=2&number=3"


async def test_a_body_has_no_members_that_are_none() -> None:
    answering = Answering()
    await api(answering).post("/x", {"a": 1, "b": None}, idempotency_key="k")
    assert json.loads(answering.sent) == {"a": 1}
    assert (b"idempotency-key", b"k") in answering.scope["headers"]
    await api(answering).post("/x")
    assert json.loads(answering.sent) == {}
    await api(answering).delete("/x")
    assert (answering.scope["method"], answering.sent) == ("DELETE", b"")


async def test_a_problem_is_raised_with_its_words() -> None:
    problem = {"title": "t", "detail": "d", "hint": "h", "reference": "some-reference", "status": 503}
    answering = Answering(503, json.dumps(problem).encode(), {"retry-after": "7"})
    with pytest.raises(ConsoleApiProblem) as raised:
        await api(answering).get("/x")
    error = raised.value
    assert (error.status, error.title, error.detail, error.hint) == (503, "t", "d", "h")
    assert (error.reference, error.retry_after) == ("some-reference", 7)
    with pytest.raises(ConsoleApiProblem) as raised:
        await api(answering).stream("/x")
    assert raised.value.reference == "some-reference"
    for body in (b"", b"no JSON", b"[]"):
        with pytest.raises(ConsoleApiProblem) as raised:
            await api(Answering(500, body)).get("/x")
        assert raised.value.reference == "internal-error"


async def test_a_stream_is_read_while_it_is_written_and_ends_with_its_reader() -> None:
    endless = Endless(headers={"content-type": "text/csv"})
    stream = await api(endless).stream("/x", headers={"accept": "text/csv"})
    assert stream.media_type == "text/csv"
    read = b""
    async for chunk in stream:
        read += chunk
        if len(read) >= 500:
            break
    assert not endless.ended.is_set()
    await stream.aclose()
    assert endless.ended.is_set()


async def test_a_stream_that_was_cut_is_neither_whole_nor_waited_for() -> None:
    stream = await api(Broken()).stream("/x")
    chunks = aiter(stream)
    async with asyncio.timeout(20):
        assert await anext(chunks) == b"a,b\n"
        with pytest.raises(StreamCut):
            await anext(chunks)


async def test_a_stream_that_is_short_is_read_whole() -> None:
    stream = await api(Answering(body=b"a,b\n")).stream("/x")
    assert b"".join([chunk async for chunk in stream]) == b"a,b\n"
