"""HTTP servers in the program's own event loop. They stop as soon as `stop` is called, and handle no signals.

Decides how a server starts and stops, and how long a connection without progress may stay: without TLS 5 s, without a
request 10 s, while its client reads nothing of a response 30 s. `connection_places.py` decides how many are open.
Knows no endpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pgjit.api.connection_places import ConnectionPlaces, Place
from pgjit.proxy.door.connection_limits import ClientAddress

__all__ = ["CONNECTIONS", "CONNECTIONS_OF_ADDRESS", "HttpServer", "PromptServer"]

_log = logging.getLogger("pgjit.api")
_TICK_SECONDS = 1.0
_STOP_SECONDS = 3  # for responses under way when the server stops
CONNECTIONS = 256
CONNECTIONS_OF_ADDRESS = 64
_TLS_SECONDS = 5.0
_HEAD_SECONDS = 10.0
_STALLED_CHECKS = 3
_PAUSE_SECONDS = 0.1
_BACKLOG = 128
_MOST_ACCEPTED = 32
"""Limit on the connections that are accepted before other work gets its turn."""
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
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


class _Connection(H11Protocol):
    """Closes a connection that has sent no whole request head for ten seconds, or whose client does not read.

    uvicorn itself waits for ever.
    """

    def __init__(self, place: Place, leave: Callable[[Place], None], **of_uvicorn: Any) -> None:
        super().__init__(app_state={"connection": place}, **of_uvicorn)
        self._place = place
        self._leave = leave
        self._check: asyncio.TimerHandle | None = None
        self._answered: object = None  # the last request that was answered, at the last check
        self._unsent = 0  # bytes, at the last check
        self._stalled = 0  # checks since the client last read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._place.end = transport.abort
        if self._place.ending:
            transport.abort()
        self._check = self.loop.call_later(_HEAD_SECONDS, self._check_progress)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave(self._place)
        if self._check is not None:
            self._check.cancel()
        super().connection_lost(exc)

    def _check_progress(self) -> None:
        waiting = self.cycle is None or self.cycle.response_complete
        if (waiting and self.cycle is self._answered) or not self._client_reads():
            self.transport.abort()
            return
        self._answered = self.cycle if waiting else None
        self._check = self.loop.call_later(_HEAD_SECONDS, self._check_progress)

    def _client_reads(self) -> bool:
        """Whether bytes of a response went out within the last three checks, or none had to."""
        unsent = self.transport.get_write_buffer_size()
        stands = (self.flow.write_paused or self.transport.is_closing()) and unsent >= self._unsent
        self._stalled = self._stalled + 1 if stands else 0
        self._unsent = unsent
        return self._stalled < _STALLED_CHECKS


class _BoundedServer(PromptServer):
    """Accepts connections itself: uvicorn counts none before TLS has begun."""

    def __init__(
        self,
        config: uvicorn.Config,
        listening: socket.socket,
        tls: ssl.SSLContext | None,
        places: ConnectionPlaces,
    ) -> None:
        super().__init__(config)
        self._listening = listening
        self.tls = tls
        self._places = places
        self._resuming: asyncio.TimerHandle | None = None  # accepting is paused until then
        self._opening: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - has its own
        await super().startup([])
        self._resume_accepting()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - has its own
        self._stop_accepting()
        self._listening.close()
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        await super().shutdown([])

    def _resume_accepting(self) -> None:
        self._resuming = None
        asyncio.get_running_loop().add_reader(self._listening.fileno(), self._accept)

    def _stop_accepting(self) -> None:
        if self._resuming is not None:
            self._resuming.cancel()
        asyncio.get_running_loop().remove_reader(self._listening.fileno())

    def _accept(self) -> None:
        for _ in range(_MOST_ACCEPTED):
            try:
                client, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as fault:
                if fault.errno not in _OUT_OF_RESOURCES:  # the client left while it was in the queue
                    continue
                _log.error("no HTTP connection can be accepted: %s", fault.strerror)
                self._stop_accepting()  # the socket stays readable meanwhile
                self._resuming = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._resume_accepting)
                return
            # A client on a Unix socket has no address: it is on this machine.
            network = ClientAddress.of(address[0], address[1]).network if isinstance(address, tuple) else "unix"
            place = self._places.enter(network)
            if place is None:
                client.close()
                continue
            client.setblocking(False)
            self._open(client, place)

    def _open(self, client: socket.socket, place: Place) -> None:
        opening = asyncio.create_task(self._start(client, place))
        place.end = opening.cancel
        self._opening.add(opening)

        def opened(task: asyncio.Task[None]) -> None:
            self._opening.discard(task)
            if task.cancelled() or task.exception() is not None:  # no TLS, or too slowly
                client.close()
                self._places.leave(place)

        opening.add_done_callback(opened)

    async def _start(self, client: socket.socket, place: Place) -> None:
        loop = asyncio.get_running_loop()
        limits = {"ssl_handshake_timeout": _TLS_SECONDS, "ssl_shutdown_timeout": _TLS_SECONDS}
        await loop.connect_accepted_socket(
            lambda: _Connection(
                place, self._places.leave, config=self.config, server_state=self.server_state, _loop=loop
            ),
            client,
            ssl=self.tls,
            **(limits if self.tls is not None else {}),
        )


def _listening(host: str, port: int) -> socket.socket:
    """Raises OSError when the port is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as fault:
        listening.close()
        fault.filename = f"{host}:{port}"
        raise
    listening.setblocking(False)
    listening.listen(_BACKLOG)
    return listening


class HttpServer:
    """Serves an ASGI application on one port, in the running event loop; over TLS if a context is given."""

    def __init__(
        self,
        application: Any,
        tls: ssl.SSLContext | None = None,
        *,
        most: int = CONNECTIONS,
        most_of_address: int = CONNECTIONS,
    ) -> None:
        """At most `most` connections are open at once, `most_of_address` of one address (IPv6: of one /64)."""
        self._config = uvicorn.Config(
            application,
            http=H11Protocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,  # the address of a client is that of its connection
            h11_max_incomplete_event_size=_HEAD_BYTES,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        self._tls = tls
        self._places = ConnectionPlaces(most, most_of_address, kept=most // 8)
        self._server: _BoundedServer | None = None
        self._task: asyncio.Task[None] | None = None
        self.port = 0

    def serve_with(self, tls: ssl.SSLContext) -> None:
        """The context of the handshakes that begin from now on."""
        self._tls = tls
        if self._server is not None:
            self._server.tls = tls

    @property
    def connections(self) -> int:
        """How many are open, from accept to close."""
        return len(self._places)

    async def open(self, host: str, port: int, inherited: socket.socket | None = None) -> None:
        """`inherited`: serves on this socket instead; it listens already, and may be a Unix socket.

        Raises OSError when the port is in use.
        """
        listening = _listening(host, port) if inherited is None else inherited
        name = listening.getsockname()
        self.port = int(name[1]) if isinstance(name, tuple) else 0
        server = self._server = _BoundedServer(self._config, listening, self._tls, self._places)
        self._task = asyncio.create_task(server.serve(sockets=[]))
        serving = asyncio.create_task(server.serving.wait())
        await asyncio.wait({self._task, serving}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            serving.cancel()
            await self._task

    async def close(self) -> None:
        if self._task is not None and self._server is not None:
            self._server.stop()
            await self._task
