"""HTTP servers in the program's own event loop. They stop as soon as `stop` is called, and handle no signals.

Decides how a server starts and stops, and how long a connection without a request may stay. Knows no endpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["HttpServer", "PromptServer"]

_TICK_SECONDS = 1.0
_STOP_SECONDS = 3  # for responses under way when the server stops
_CONNECTIONS = 256
_HEAD_SECONDS = 10.0
_HEAD_BYTES = 32 * 1024


class PromptServer(uvicorn.Server):
    """`serving` is set when the server accepts requests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    async def main_loop(self) -> None:
        """Instead of uvicorn's own loop, which checks ten times a second whether it should stop."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 10  # uvicorn counts tenths of a second
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._stopping.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _TimedHeads(H11Protocol):
    """Closes a connection that has sent no whole request head for ten seconds. uvicorn itself waits for ever."""

    _check: asyncio.TimerHandle | None = None
    _answered: object = None  # the last request that was answered, at the last check

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._check = self.loop.call_later(_HEAD_SECONDS, self._check_head)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._check is not None:
            self._check.cancel()
        super().connection_lost(exc)

    def _check_head(self) -> None:
        waiting = self.cycle is None or self.cycle.response_complete
        if waiting and self.cycle is self._answered:
            self.transport.abort()
            return
        self._answered = self.cycle if waiting else None
        self._check = self.loop.call_later(_HEAD_SECONDS, self._check_head)


class HttpServer:
    """Serves an ASGI application on one port, in the running event loop; over TLS if a context is given."""

    def __init__(self, application: Any, tls: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            application,
            http=_TimedHeads,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,  # the address of a client is that of its connection
            limit_concurrency=_CONNECTIONS,
            h11_max_incomplete_event_size=_HEAD_BYTES,
            timeout_graceful_shutdown=_STOP_SECONDS,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        )
        self._server = PromptServer(config)
        self._task: asyncio.Task[None] | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Raises OSError when the port is in use."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError:
            listening.close()
            raise
        self.port = int(listening.getsockname()[1])
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))
        serving = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait({self._task, serving}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            serving.cancel()
            await self._task

    async def close(self) -> None:
        if self._task is not None:
            self._server.stop()
            await self._task
