"""The listener: accepts connections, applies the connection limits, and starts sessions.

Decides what happens to a connection before its session: served, refused with an error, or closed; each refusal is
recorded. `door/handshake.py` decides the messages before a session, `door/connection_limits.py` the limits.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Sequence

from pgjit.errors import JournalUnavailable, PgjitError, TlsRequired, TooManyConnections
from pgjit.proxy.door.balancers import Balancers
from pgjit.proxy.door.connection_limits import ClientAddress, ConnectionLimits, ConnectionPlace
from pgjit.proxy.door.handshake import (
    ALPN,
    ClosedWithoutData,
    before_tls,
    first_message,
    set_keepalive,
    start_tls,
    tls_version_and_cipher,
)
from pgjit.proxy.drain import NotAccepting, SessionDrain, passed
from pgjit.proxy.services import Services
from pgjit.proxy.session import Session
from pgjit.server.link import Link
from pgwire.errors import RemoteProtocolError
from pgwire.messages.query import error_response
from pgwire.messages.startup import CancelRequest, StartupMessage

__all__ = ["Listener"]

_log = logging.getLogger("pgjit.listener")
_CLOSE_SECONDS = 2.0
_LOGIN_SECONDS = 2.0
"""Time that a shutdown gives to clients that are logging in."""
_LOOK_SECONDS = 0.05
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_REFUSE_SECONDS = 5.0
_BACKLOG = 1024
_MOST_ACCEPTED = 64
"""Limit on the connections that are accepted before the sessions get their turn."""
_PAUSE_SECONDS = 0.1
"""Delay between attempts to accept while the system is out of resources: the socket stays readable meanwhile."""


class Listener:
    def __init__(self, services: Services, tls: ssl.SSLContext, balancers: Balancers | None = None) -> None:
        """`balancers`: whose PROXY protocol headers are read; without them nobody may send one."""
        self._services = services
        if services.siblings is not None:
            services.siblings.answer_cancels(services.registry.cancel)
        self.serve_with(tls)
        self._balancers = balancers
        self._sockets: list[socket.socket] = []
        self._resuming: asyncio.TimerHandle | None = None  # accepting is paused until then
        self._exhausted = False
        self._clients: set[asyncio.Task[None]] = set()
        self._limits = ConnectionLimits(services.limits.connections, services.limits.connections_per_address)
        self._sessions: dict[asyncio.Task[None], Session] = {}  # of the clients that have one, or are logging in
        self._leaving = False  # a drain has begun: connections are still accepted, and accepted ones served
        self._closing = False  # nothing more is accepted
        self._draining = False  # nobody is served any more who has no session
        self.keeps_queue = False  # another process accepts what waits in the sockets
        self._full = False

    def serve_with(self, tls: ssl.SSLContext) -> None:
        """The context of the handshakes that begin from now on."""
        tls.set_alpn_protocols([ALPN])
        # As PostgreSQL does. No client of its protocol resumes a TLS session.
        tls.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
        tls.num_tickets = 0
        self._tls = tls

    def follow_limits(self) -> None:
        """The limits of the services have changed."""
        limits = self._services.limits
        self._limits.change(limits.connections, limits.connections_per_address)

    @property
    def ports(self) -> list[int]:
        return [int(server.getsockname()[1]) for server in self._sockets]

    @property
    def connections(self) -> int:
        """The number of open connections, logged in or not."""
        return len(self._limits)

    @property
    def accepting(self) -> bool:
        """Whether new connections are wanted: after `open`, until `drain`."""
        return bool(self._sockets) and not self._leaving

    @property
    def stopping(self) -> bool:
        """Whether `drain` has begun."""
        return self._leaving

    @property
    def full(self) -> bool:
        """Whether all connections are taken."""
        return self._full

    def open_on(self, sockets: Sequence[socket.socket]) -> None:
        """Accept from sockets that listen already. Another process holds them as well, and what waits in them."""
        self._sockets.extend(sockets)
        self.keeps_queue = True
        self._resume_accepting()

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
            try:
                server.bind(address)
            except OSError as fault:
                server.close()
                fault.filename = f"{host}:{port}"
                raise
            server.listen(_BACKLOG)
            self._sockets.append(server)
        self._resume_accepting()

    # --- accepting -------------------------------------------------------------------------------------

    def _resume_accepting(self) -> None:
        self._resuming = None
        for server in self._sockets:
            asyncio.get_running_loop().add_reader(server.fileno(), self._accept, server)

    def _stop_accepting(self) -> None:
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        for server in self._sockets:
            asyncio.get_running_loop().remove_reader(server.fileno())

    def _accept(self, server: socket.socket, most: int = _MOST_ACCEPTED) -> None:
        for _ in range(most):
            try:
                client, address = server.accept()
            except BlockingIOError:
                return
            except OSError as fault:
                if fault.errno not in _OUT_OF_RESOURCES:  # the client left while it was in the queue
                    continue
                if not self._exhausted:
                    _log.error("no connection can be accepted: %s", fault.strerror)
                self._exhausted = True
                self._stop_accepting()
                if not self._closing:
                    self._resuming = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._resume_accepting)
                return
            if self._exhausted:
                _log.warning("connections are accepted again")
            self._exhausted = False
            self._admit(client, ClientAddress.of(address[0], address[1]), address[0])

    def _admit(self, client: socket.socket, peer: ClientAddress, host: str) -> None:
        behind = self._balancers is not None and self._balancers.include(host)
        place = self._limits.enter(None if behind else peer)
        self._log_limit()
        if not place.accepted:
            # No error is sent before TLS: close without a task or a timer.
            client.close()
            self._note_too_many(peer, place)
            return
        try:
            client.setblocking(False)
            set_keepalive(client)
        except OSError:  # the client is gone already; the next read reports it
            _log.debug("a connection ended as it was accepted")
        task = asyncio.create_task(self._serve(client, peer, place))
        self._clients.add(task)
        task.add_done_callback(self._served)

    def _note_too_many(self, peer: ClientAddress, place: ConnectionPlace) -> None:
        if (refusal := place.refusal) is not None:
            self._services.refused_logins.note_unauthenticated(
                peer, refusal.reference, refusal.sqlstate, refusal.message
            )

    def _log_limit(self) -> None:
        """Log once when the limit is reached, and once when a tenth of the connections is free again."""
        most, connections = self._services.limits.connections, len(self._limits)
        if not self._full and connections >= most:
            self._full = True
            _log.error("all %d connections are taken: no more clients are served", most)
        elif self._full and connections < most - most // 10:
            self._full = False
            _log.warning("clients are served again")

    def _served(self, task: asyncio.Task[None]) -> None:
        self._clients.discard(task)
        self._sessions.pop(task, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("a connection ended in an internal error", exc_info=fault)

    async def _serve(self, client: socket.socket, peer: ClientAddress, place: ConnectionPlace) -> None:
        try:
            await self._handle(client, peer, place)
        finally:
            place.leave()
            self._log_limit()

    # --- one connection --------------------------------------------------------------------------------

    async def _handle(self, client: socket.socket, peer: ClientAddress, place: ConnectionPlace) -> None:
        """Handle one connection. All steps until a session is open share one deadline."""
        began = asyncio.get_running_loop().time()
        deadline = self._deadline(began, place)
        link: Link | None = None
        try:
            async with asyncio.timeout_at(deadline) as limit:
                with client:
                    if self._balancers is not None or self._services.siblings is not None:
                        peer = await self._count(client, peer, place)
                        if not place.accepted:
                            self._note_too_many(peer, place)
                            return
                        limit.reschedule(deadline := self._deadline(began, place))
                    first = await before_tls(client)
                    if isinstance(first, StartupMessage):
                        await self._refuse_plain(client, first, peer)
                        return
                    if isinstance(first, CancelRequest):
                        await self._services.cancels.cancel(first, peer)
                        return
                    link = await start_tls(client, self._tls, direct=first.direct)
                message = await first_message(link)
        except asyncio.CancelledError:
            stopped = NotAccepting()
            self._services.refused_logins.note(peer, stopped.reference, stopped.sqlstate, stopped.message)
            if link is not None:
                link.abort()
            raise
        except PgjitError as error:
            await self._refuse(link, error, peer)
        except ClosedWithoutData:
            _log.debug("%s checked whether the port is open", peer.source)
        except (TimeoutError, OSError, RemoteProtocolError) as fault:
            # No error is sent before TLS: the client could not tell it from an attacker's.
            self._note_failed(peer, fault, encrypted=link is not None)
            if link is not None:
                link.abort()
        else:
            await self._after_tls(link, message, peer, place.refusal, deadline)

    async def _count(self, client: socket.socket, peer: ClientAddress, place: ConnectionPlace) -> ClientAddress:
        """Count the connection for its client's address, and for all workers. Returns that address."""
        if self._balancers is not None:
            peer = await self._balancers.client_behind(client, peer)
            place.name(peer)
        siblings, network = self._services.siblings, peer.network
        if siblings is not None and place.accepted and place.refusal is None:
            place.count_on_node(peer, await siblings.enter(network), lambda: siblings.leave(network))
        return peer

    def _deadline(self, began: float, place: ConnectionPlace) -> float:
        seconds = self._services.limits.handshake_seconds
        if place.refusal is not None:  # accepted only to send the error, or for a cancel request
            seconds = min(seconds, _REFUSE_SECONDS)
        return began + seconds

    async def _refuse_plain(self, client: socket.socket, message: StartupMessage, peer: ClientAddress) -> None:
        """Refuse without requesting a password: a client that falls back to plain text must not send its token."""
        error = TlsRequired()
        self._services.refused_logins.note_unauthenticated(
            peer, error.reference, error.sqlstate, error.message, startup=message
        )
        await asyncio.get_running_loop().sock_sendall(client, error_response(error.fields()))
        client.shutdown(socket.SHUT_WR)

    def _note_failed(self, peer: ClientAddress, fault: Exception, *, encrypted: bool) -> None:
        reason = f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
        if isinstance(fault, TimeoutError):
            reason = f"nothing more came within {self._services.limits.handshake_seconds:g} s"
        if encrypted:
            self._services.refused_logins.note(peer, "handshake-failed", "08P01", reason)
        else:
            self._services.refused_logins.note_unauthenticated(peer, "handshake-failed", "08P01", reason)

    async def _after_tls(
        self,
        link: Link,
        message: StartupMessage | CancelRequest,
        peer: ClientAddress,
        refusal: TooManyConnections | None,
        deadline: float,
    ) -> None:
        if isinstance(message, CancelRequest):
            await self._services.cancels.cancel(message, peer)
            await link.close()
            return
        error: PgjitError | None = NotAccepting() if self._draining else refusal
        if error is not None:
            await self._refuse(link, error, peer, message)
            return
        session = Session(self._services, link, peer, tls_version_and_cipher(link))
        if (task := asyncio.current_task()) is not None:
            self._sessions[task] = session
        try:
            await session.run(message, deadline)
        except JournalUnavailable:
            _log.critical("the end of a session could not be recorded")
        finally:
            link.abort()

    async def _refuse(
        self,
        link: Link | None,
        error: PgjitError,
        peer: ClientAddress,
        startup: StartupMessage | None = None,
    ) -> None:
        refused, reason = self._services.refused_logins, error.detail or error.message
        if link is None:  # not the load balancer: nothing is sent before TLS
            refused.note_unauthenticated(peer, error.reference, error.sqlstate, reason)
            return
        refused.note(peer, error.reference, error.sqlstate, reason, startup=startup)
        link.write(error_response(error.fields()))
        await link.close()

    # --- shutdown --------------------------------------------------------------------------------------

    async def drain(self, seconds: float, delay: float = 0.0, at_once: asyncio.Event | None = None) -> None:
        """Go on accepting for `delay` seconds, until balancers know. Then accept no more and end the sessions.

        Idle ones end at once, the others when they are idle or `seconds` have passed. `at_once` ends all waiting.
        """
        at_once = asyncio.Event() if at_once is None else at_once
        self._leaving = True
        sessions = SessionDrain(self._services.registry, at_once)
        await sessions.announce_for(delay)
        self._close_sockets()
        logins = asyncio.create_task(self._end_logins(at_once))
        await sessions.run(seconds, logins)
        if self._clients:
            _, remaining = await asyncio.wait(self._clients, timeout=_CLOSE_SECONDS)
            for task in remaining:  # their clients do not read the last error
                task.cancel()
            await asyncio.gather(*remaining, return_exceptions=True)
        self._services.refused_logins.close()

    @property
    def _logging_in(self) -> list[asyncio.Task[None]]:
        """The clients that have no session yet."""
        return [each for each in self._clients if each not in self._sessions or not self._sessions[each].opened]

    async def _end_logins(self, at_once: asyncio.Event) -> None:
        """Clients whose connection was accepted may log in, if they are quick. The others are refused."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _LOGIN_SECONDS
        while self._logging_in and loop.time() < until and not at_once.is_set():
            await passed(_LOOK_SECONDS, at_once)
        self._draining = True
        if late := self._logging_in:
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=_CLOSE_SECONDS)

    def _close_sockets(self) -> None:
        """Clients that are connected already are served, not dropped. Or they wait for another process."""
        self._closing = True
        self._stop_accepting()
        for server in self._sockets:
            if not self.keeps_queue:
                self._accept(server, 4 * _BACKLOG)  # the kernel rounds the backlog up, and more may come meanwhile
            server.close()
        self._sockets.clear()
