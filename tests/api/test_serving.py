"""Connections of the API count from accept to close, and end where nothing moves."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from pgjit.api import gate, serving
from pgjit.api.serving import HttpServer
from tests.api.people import People
from tests.fakes.certificate_authority import Authority
from tests.run.waiting import until

CALL = "GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n"


@contextlib.asynccontextmanager
async def served(folder: Path, *, most: int = 16, most_of_address: int = 16) -> AsyncIterator[tuple[HttpServer, int]]:
    pair = Authority(folder).server("localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    async with People(folder) as api:
        server = HttpServer(api.application, tls, most=most, most_of_address=most_of_address)
        await server.open("127.0.0.1", 0)
        try:
            async with asyncio.timeout(60):
                yield server, server.port
        finally:
            await server.close()


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return await asyncio.open_connection("127.0.0.1", port, ssl=context)


async def status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> bytes:
    writer.write(CALL.format(token).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    found: list[bytes] = re.findall(rb"HTTP/1.1 (\d+)", head)
    return found[-1]


@pytest.mark.parametrize("tls", [False, True])
async def test_an_admin_is_served_while_one_address_holds_more_connections_than_there_are(
    tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None of the forty is given up for being slow: on a busy machine their handshakes take a while.
    monkeypatch.setattr(serving, "_TLS_SECONDS", 600)
    monkeypatch.setattr(serving, "_HEAD_SECONDS", 600)
    async with served(tmp_path, most=16, most_of_address=8) as (server, port):
        held = [await (connect(port) if tls else asyncio.open_connection("127.0.0.1", port)) for _ in range(40)]
        assert server.connections <= 16
        held.append(await connect(port))
        assert await status(*held[-1], "admin") == b"200"
        for _, writer in held:
            writer.transport.abort()
        await until(lambda: server.connections == 0)


async def test_a_connection_with_an_accepted_token_is_kept(tmp_path: Path) -> None:
    async with served(tmp_path, most_of_address=1) as (_, port):
        admin = await connect(port)
        assert await status(*admin, "admin") == b"200"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert await status(*admin, "admin") == b"200"
        for each in (admin[1], writer):
            each.transport.abort()


async def test_a_connection_without_tls_is_closed_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_TLS_SECONDS", 0.2)
    async with served(tmp_path) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: server.connections == 1)
        assert await reader.read() == b""
        await until(lambda: server.connections == 0)
        writer.close()


async def long_answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    """An application whose response fills every buffer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1000):
        await send({"type": "http.response.body", "body": b" " * 65536, "more_body": True})


async def test_a_connection_whose_client_reads_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_HEAD_SECONDS", 0.2)
    server = HttpServer(long_answer)
    await server.open("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(CALL.format("admin").encode())
    await reader.readline()
    await until(lambda: server.connections == 1)
    await until(lambda: server.connections == 0)
    writer.transport.abort()
    await server.close()


async def test_beyond_its_rate_an_address_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_ADDRESS_RATE", 0.0001)
    monkeypatch.setattr(gate, "_ADDRESS_BURST", 15_000.0)
    async with served(tmp_path) as (_, port):
        answers = []
        for _ in range(4):
            reader, writer = await connect(port)
            writer.write(CALL.format("forged").encode() * 3)
            with contextlib.suppress(ConnectionResetError):
                answers.append((await reader.read()).count(b"HTTP/1.1"))
            writer.transport.abort()
        assert answers[0] == 1
        assert 1 not in answers[2:]
