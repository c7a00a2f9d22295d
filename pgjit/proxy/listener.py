"""The door: accepts sockets, starts TLS without losing a byte, and refuses plain text.

Decides what may come before a session: requests for encryption, cancel requests, and nothing else. A socket
stays raw until the client asked for TLS: the event loop's own upgrade loses bytes that were read too far.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

from pgjit.audit.event import LoginRefused
from pgjit.errors import BudgetSpent, JournalUnavailable, PgjitError, ShuttingDown, TlsRequired
from pgjit.proxy.link import Link, LinkClosed
from pgjit.proxy.services import Services
from pgjit.proxy.session import Session
from pgwire.errors import RemoteProtocolError
from pgwire.messages.query import error_response
from pgwire.messages.startup import (
    CancelRequest,
    EncryptionRequest,
    StartupMessage,
    decode_startup,
    startup_length,
)

__all__ = ["Listener"]

_log = logging.getLogger("pgjit.listener")
_TLS_RECORD = b"\x16"
_ALPN = "postgresql"
_FAREWELL_SECONDS = 2.0


class Listener:
    def __init__(self, services: Services, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols([_ALPN])
        self._services = services
        self._tls = tls
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._clients: set[asyncio.Task[None]] = set()
        self._draining = False

    @property
    def ports(self) -> list[int]:
        return [int(server.getsockname()[1]) for server in self._sockets]

    async def open(self, host: str, port: int) -> None:
        """Listen. Raises OSError."""
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, proto, _, address in dict.fromkeys(infos):
            server = socket.socket(family, kind, proto)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family is socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.setblocking(False)
            server.bind(address)
            server.listen(128)
            self._sockets.append(server)
            self._accepting.append(asyncio.create_task(self._accept(server)))

    async def _accept(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, address = await loop.sock_accept(server)
            except OSError as fault:  # out of file descriptors, or a client that left in the queue
                _log.warning("cannot accept a connection: %s", fault.strerror)
                await asyncio.sleep(0.1)
                continue
            client.setblocking(False)
            if client.family in (socket.AF_INET, socket.AF_INET6):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            task = asyncio.create_task(self._serve(client, f"{address[0]}:{address[1]}"))
            self._clients.add(task)
            task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._clients.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("a connection ended in a fault of pgjit's own", exc_info=fault)

    async def _serve(self, client: socket.socket, source: str) -> None:
        link: Link | None = None
        try:
            with client:  # the transport gets a duplicate of its own
                async with asyncio.timeout(self._services.limits.handshake_seconds):
                    arrived = await self._before_tls(client, source)
                    if arrived is None:
                        return
                    link = await self._start_tls(client, direct=arrived == _TLS_RECORD)
                    startup = await self._first_message(link)
        except (TimeoutError, OSError, RemoteProtocolError) as fault:
            # Before TLS is up nothing is told: the client could not tell our words from an attacker's.
            self._note(source, "handshake-failed", "08P01", f"{type(fault).__name__}: {fault}")
            if link is not None:
                link.abort()
            return
        await self._after_tls(link, startup, source)

    # --- before TLS ------------------------------------------------------------------------------------

    async def _before_tls(self, client: socket.socket, source: str) -> bytes | None:
        """Answer requests until TLS is due: the first byte of direct TLS, or `S` was sent. None: it is over."""
        loop = asyncio.get_running_loop()
        for _ in range(2):  # GSSENCRequest, then SSLRequest: no client asks for more
            if await _peek(client) == _TLS_RECORD:
                return _TLS_RECORD
            message = decode_startup(await _read_startup(client))
            if isinstance(message, CancelRequest):
                await self._cancel(message)
                return None
            if isinstance(message, StartupMessage):
                await self._refuse_plain(client, message, source)
                return None
            if not message.gss:
                if _stuffed(client):
                    raise RemoteProtocolError("unencrypted data after the request for TLS")
                await loop.sock_sendall(client, b"S")
                return b"S"
            await loop.sock_sendall(client, b"N")
        return None

    async def _refuse_plain(self, client: socket.socket, message: StartupMessage, source: str) -> None:
        """No password is asked for: a client that falls back to plain text must not send its token."""
        error = TlsRequired()
        self._note(source, error.reference, error.sqlstate, error.message, message)
        await asyncio.get_running_loop().sock_sendall(client, error_response(error.fields()))
        client.shutdown(socket.SHUT_WR)

    async def _start_tls(self, client: socket.socket, *, direct: bool) -> Link:
        loop = asyncio.get_running_loop()
        client_socket = client.dup()
        client_socket.setblocking(False)
        link = Link()  # uvloop returns a protocol of its own here
        try:
            await loop.connect_accepted_socket(lambda: link, client_socket, ssl=self._tls)
        except BaseException:
            client_socket.close()
            raise
        tls = link.detail("ssl_object")
        if direct and getattr(tls, "selected_alpn_protocol", lambda: None)() != _ALPN:
            link.abort()
            raise RemoteProtocolError("direct TLS without ALPN")
        return link

    # --- after TLS -------------------------------------------------------------------------------------

    async def _first_message(self, link: Link) -> StartupMessage | CancelRequest:
        data = b""
        while len(data) < 4 or len(data) < 4 + startup_length(data[:4]):
            more = await link.receive()
            if not more:
                raise LinkClosed
            data += more
        end = 4 + startup_length(data[:4])
        message = decode_startup(data[4:end])
        if isinstance(message, EncryptionRequest) or len(data) > end:
            link.abort()
            raise RemoteProtocolError("expected one startup message inside TLS")
        return message

    async def _after_tls(self, link: Link, message: StartupMessage | CancelRequest, source: str) -> None:
        if isinstance(message, CancelRequest):
            await self._cancel(message)
            await link.close()
            return
        error = self._no_room()
        if error is not None:
            self._note(source, error.reference, error.sqlstate, error.message, message)
            link.write(error_response({**error.fields(), "S": "FATAL", "V": "FATAL"}))
            await link.close()
            return
        session = Session(self._services, link, source, _tls_text(link))
        try:
            await session.run(message)
        except JournalUnavailable:
            _log.critical("the end of a session could not be recorded")
        finally:
            link.abort()

    def _no_room(self) -> PgjitError | None:
        if self._draining:
            return ShuttingDown()
        limit = self._services.limits.connections
        if len(self._clients) > limit:
            return BudgetSpent(
                "too many connections to this proxy",
                reference="too-many-connections",
                detail=f"At most {limit} are served at once.",
                hint="Close connections that are not used, and try again.",
            )
        return None

    async def _cancel(self, request: CancelRequest) -> None:
        """Keys that were not issued here are ignored, without a word, as PostgreSQL does."""
        session = self._services.registry.by_cancel_key(request.pid, request.secret)
        if session is not None:
            await session.cancel()

    def _note(
        self, source: str, reference: str, sqlstate: str, reason: str, startup: StartupMessage | None = None
    ) -> None:
        parameters = startup.parameters if startup else {}
        event = LoginRefused(
            at=self._services.clock(),
            source=source,
            reference=reference,
            sqlstate=sqlstate,
            reason=reason,
            startup_user=parameters.get("user", "")[:63] or None,
            startup_database=parameters.get("database", "")[:63] or None,
        )
        self._services.telemetry.login(reference)
        try:
            self._services.journal.append([event])
        except JournalUnavailable:
            _log.error("a refused connection could not be recorded: %s from %s", reference, source)

    # --- the end ---------------------------------------------------------------------------------------

    async def drain(self, seconds: float) -> None:
        """Take no more clients; end idle sessions at once, the others when they are idle or time is up."""
        self._draining = True
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for server in self._sockets:
            server.close()
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while len(self._services.registry) and loop.time() < until:
            await asyncio.gather(*(s.end("shutdown") for s in self._services.registry if s.idle))
            await asyncio.sleep(0.05)
        await asyncio.gather(*(session.end("shutdown") for session in self._services.registry))
        if self._clients:
            _, left = await asyncio.wait(self._clients, timeout=_FAREWELL_SECONDS)
            for task in left:  # they are not logged in: a session waits for its backend's end above
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)


async def _peek(client: socket.socket) -> bytes:
    """The first byte, left where it is. b"" at the end of the stream."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return client.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            readable = asyncio.Event()
            loop.add_reader(client, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(client)


def _stuffed(client: socket.socket) -> bool:
    """Whether bytes wait behind a request for TLS: they were sent unencrypted by somebody in between."""
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


async def _read_startup(client: socket.socket) -> bytes:
    return await _exactly(client, startup_length(await _exactly(client, 4)))


async def _exactly(client: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        piece = await loop.sock_recv(client, count - len(data))
        if not piece:
            raise LinkClosed
        data += piece
    return data


def _tls_text(link: Link) -> str:
    tls = link.detail("ssl_object")
    version = getattr(tls, "version", lambda: None)()
    cipher = getattr(tls, "cipher", lambda: None)()
    return f"{version or 'unknown'} {cipher[0] if cipher else 'unknown'}"
