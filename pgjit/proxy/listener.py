"""The door: accepts sockets, counts who is here, and lets sessions begin.

Decides what becomes of a connection before there is a session: served, refused or turned away, each written
down. What may be said before a session is `handshake.py`'s, how many may come in `connection_limits.py`'s.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Iterable

from pgjit.errors import JournalUnavailable, PgjitError, ShuttingDown, TlsRequired, TooManyConnections
from pgjit.proxy.door.connection_limits import Admission, ClientAddress, ConnectionLimits
from pgjit.proxy.door.handshake import (
    ALPN,
    ClosedWithoutData,
    before_tls,
    first_message,
    keep_alive,
    start_tls,
    tls_text,
)
from pgjit.proxy.registry import RegisteredSession
from pgjit.proxy.services import Services
from pgjit.proxy.session import Session
from pgjit.server.link import Link
from pgwire.errors import RemoteProtocolError
from pgwire.messages.query import error_response
from pgwire.messages.startup import CancelRequest, StartupMessage

__all__ = ["Listener"]

_log = logging.getLogger("pgjit.listener")
_END_SECONDS = 30.0
"""What a shutdown gives backends to be gone; those that are not are left to the process that comes after."""
_FAREWELL_SECONDS = 2.0
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_TOLD_SECONDS = 5.0
_PAUSE_SECONDS = 0.1
"""Between two attempts to accept while the system has nothing left: until then the socket stays readable."""


class Listener:
    def __init__(self, services: Services, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols([ALPN])
        self._services = services
        self._tls = tls
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._clients: set[asyncio.Task[None]] = set()
        self._crowd = ConnectionLimits(services.limits.connections, services.limits.connections_per_address)
        self._draining = False
        self._full = False

    @property
    def ports(self) -> list[int]:
        return [int(server.getsockname()[1]) for server in self._sockets]

    @property
    def connections(self) -> int:
        """How many are here, logged in or not."""
        return len(self._crowd)

    @property
    def accepting(self) -> bool:
        """Whether new connections are taken: after `open`, until `drain`."""
        return bool(self._accepting) and not self._draining

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

    # --- accepting -------------------------------------------------------------------------------------

    async def _accept(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        short = False
        while True:
            try:
                client, address = await loop.sock_accept(server)
            except OSError as fault:
                if fault.errno not in _OUT_OF_RESOURCES:  # a client that left in the queue
                    continue
                if not short:
                    _log.error("no connection can be accepted: %s", fault.strerror)
                short = True
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if short:
                _log.warning("connections are accepted again")
            short = False
            self._let_in(client, ClientAddress.of(address[0], address[1]))

    def _let_in(self, client: socket.socket, visitor: ClientAddress) -> None:
        admission = self._crowd.enter(visitor)
        self._note_crowd()
        if not admission.inside:
            # Before TLS nothing is told, so closing is all there is to do: no task, no timer.
            client.close()
            if (refusal := admission.refusal) is not None:
                self._services.refused_logins.note_before_tls(
                    visitor, refusal.reference, refusal.sqlstate, refusal.message
                )
            return
        try:
            client.setblocking(False)
            keep_alive(client)
        except OSError:  # it is gone already; reading from it will tell
            _log.debug("a connection ended as it was accepted")
        task = asyncio.create_task(self._serve(client, visitor, admission))
        self._clients.add(task)
        task.add_done_callback(self._served)

    def _note_crowd(self) -> None:
        """Said once, and once more when there is room again: clients that come and go would say it all the time."""
        most, here = self._services.limits.connections, len(self._crowd)
        if not self._full and here >= most:
            self._full = True
            _log.error("all %d connections are taken: no more clients are served", most)
        elif self._full and here < most - most // 10:
            self._full = False
            _log.warning("clients are served again")

    def _served(self, task: asyncio.Task[None]) -> None:
        self._clients.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("a connection ended in a fault of pgjit's own", exc_info=fault)

    async def _serve(self, client: socket.socket, visitor: ClientAddress, admission: Admission) -> None:
        try:
            await self._visit(client, visitor, admission)
        finally:
            self._crowd.leave(visitor)
            self._note_crowd()

    # --- one connection --------------------------------------------------------------------------------

    async def _visit(self, client: socket.socket, visitor: ClientAddress, admission: Admission) -> None:
        """All steps until a session is open share one deadline."""
        seconds = self._services.limits.handshake_seconds
        if admission.refusal is not None:  # it is here to be told so, or for a cancel request, as others may be
            seconds = min(seconds, _TOLD_SECONDS)
        deadline = asyncio.get_running_loop().time() + seconds
        link: Link | None = None
        try:
            async with asyncio.timeout_at(deadline):
                with client:
                    arrived = await before_tls(client)
                    if isinstance(arrived, StartupMessage):
                        await self._refuse_plain(client, arrived, visitor)
                        return
                    if isinstance(arrived, CancelRequest):
                        await self._cancel(arrived)
                        return
                    link = await start_tls(client, self._tls, direct=arrived.direct)
                message = await first_message(link)
        except asyncio.CancelledError:
            stopped = ShuttingDown()
            self._services.refused_logins.note(visitor.source, stopped.reference, stopped.sqlstate, stopped.message)
            if link is not None:
                link.abort()
            raise
        except PgjitError as error:
            await self._refuse(link, error, visitor)
        except ClosedWithoutData:
            _log.debug("%s looked whether the port is open", visitor.source)
        except (TimeoutError, OSError, RemoteProtocolError) as fault:
            # Before TLS is up nothing is told: the client could not tell our words from an attacker's.
            self._note_failed(visitor, fault, encrypted=link is not None)
            if link is not None:
                link.abort()
        else:
            await self._after_tls(link, message, visitor, admission.refusal, deadline)

    async def _refuse_plain(self, client: socket.socket, message: StartupMessage, visitor: ClientAddress) -> None:
        """No password is asked for: a client that falls back to plain text must not send its token."""
        error = TlsRequired()
        self._services.refused_logins.note_before_tls(
            visitor, error.reference, error.sqlstate, error.message, message
        )
        await asyncio.get_running_loop().sock_sendall(client, error_response(error.fields()))
        client.shutdown(socket.SHUT_WR)

    def _note_failed(self, visitor: ClientAddress, fault: Exception, *, encrypted: bool) -> None:
        reason = f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
        if isinstance(fault, TimeoutError):
            reason = f"nothing more came within {self._services.limits.handshake_seconds:g} s"
        if encrypted:
            self._services.refused_logins.note(visitor.source, "handshake-failed", "08P01", reason)
        else:
            self._services.refused_logins.note_before_tls(visitor, "handshake-failed", "08P01", reason)

    async def _after_tls(
        self,
        link: Link,
        message: StartupMessage | CancelRequest,
        visitor: ClientAddress,
        full: TooManyConnections | None,
        deadline: float,
    ) -> None:
        if isinstance(message, CancelRequest):
            await self._cancel(message)
            await link.close()
            return
        error: PgjitError | None = ShuttingDown() if self._draining else full
        if error is not None:
            await self._refuse(link, error, visitor, message)
            return
        session = Session(self._services, link, visitor.source, tls_text(link))
        try:
            await session.run(message, deadline)
        except JournalUnavailable:
            _log.critical("the end of a session could not be recorded")
        finally:
            link.abort()

    async def _refuse(
        self, link: Link | None, error: PgjitError, visitor: ClientAddress, startup: StartupMessage | None = None
    ) -> None:
        self._services.refused_logins.note(
            visitor.source, error.reference, error.sqlstate, error.detail or error.message, startup=startup
        )
        if link is not None:
            link.write(error_response(error.fields()))
            await link.close()

    async def _cancel(self, request: CancelRequest) -> None:
        """Keys that were not issued here are ignored, without a word, as PostgreSQL does.

        Returns when the server has dealt with it: that the connection is closed then tells the client so.
        """
        session = self._services.registry.by_cancel_key(request.pid, request.secret)
        if session is not None:
            await session.cancel()

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
            await self._end_sessions(session for session in self._services.registry if session.idle)
            await asyncio.sleep(0.05)
        await self._end_sessions(self._services.registry)
        for session in self._services.registry:
            session.abandon()
        if self._clients:
            _, left = await asyncio.wait(self._clients, timeout=_FAREWELL_SECONDS)
            for task in left:  # they are not logged in: a session waits for its backend's end above
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        self._services.refused_logins.close()

    async def _end_sessions(self, sessions: Iterable[RegisteredSession]) -> None:
        ends = [asyncio.create_task(session.end("shutdown")) for session in sessions]
        if not ends:
            return
        _, left = await asyncio.wait(ends, timeout=_END_SECONDS)
        for end in left:
            end.cancel()
        await asyncio.gather(*left, return_exceptions=True)
