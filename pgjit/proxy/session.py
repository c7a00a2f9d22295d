"""One client connection, start to end: greet, authenticate, authorize, connect, relay, end.

Reads as the story of a session. What is accepted, allowed and refused is decided elsewhere and tried here in
order; every path out of here leaves no backend behind.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import uuid
from dataclasses import dataclass

from pgjit.audit.event import LoginRefused, Proof, SessionContext, SessionEnded, SessionOpened
from pgjit.errors import (
    JournalUnavailable,
    PgjitError,
    ProtocolFault,
    ServerUnavailable,
    ShuttingDown,
    TokenRefused,
    WindowEnded,
)
from pgjit.identity.identity import Identity
from pgjit.proxy.access import Access, choose_policy
from pgjit.proxy.conversation import Conversation, Ending
from pgjit.proxy.deadline import end_backend
from pgjit.proxy.link import Link, LinkClosed
from pgjit.proxy.opening import Opening, read_opening
from pgjit.proxy.servers import Backend
from pgjit.proxy.services import Services
from pgjit.proxy.settings import session_settings, tripwire
from pgjit.proxy.upstream import Upstream, cancel_running
from pgwire.errors import RemoteProtocolError
from pgwire.framing import Frame, FrameReader
from pgwire.messages import authentication as auth
from pgwire.messages.query import error_response, ready_for_query
from pgwire.messages.startup import StartupMessage, negotiate_version

__all__ = ["Session"]

_log = logging.getLogger("pgjit.session")
_CANCEL_SECONDS = 5.0


@dataclass(slots=True)
class _Live:
    """What exists only while a backend does."""

    context: SessionContext
    access: Access
    backend: Backend
    conversation: Conversation

    @property
    def upstream(self) -> Upstream:
        return self.backend.upstream


class Session:
    """One client, on an encrypted link, after its startup message was read."""

    def __init__(self, services: Services, link: Link, source: str, tls: str) -> None:
        self._services = services
        self._client = link
        self._source = source
        self._tls = tls
        self._id = "s_" + uuid.uuid4().hex
        self._live: _Live | None = None
        self._finished = asyncio.Event()
        self._identity: Identity | None = None
        self.cancel_secret = secrets.token_bytes(4)

    @property
    def window_id(self) -> str | None:
        return self._live.access.window.id if self._live else None

    @property
    def backend_pid(self) -> int | None:
        return self._live.upstream.backend_pid if self._live else None

    @property
    def idle(self) -> bool:
        return self._live is None or self._live.conversation.relay.idle

    async def run(self, startup: StartupMessage) -> None:
        """Live from the startup message to the end. Raises nothing but cancellation."""
        opening: Opening | None = None
        try:
            async with asyncio.timeout(self._services.limits.handshake_seconds):
                opening = self._greet(startup)
                identity = await self._authenticate()
                access = await self._authorize(identity, opening)
                live = await self._connect(access, opening)
        except PgjitError as refused:
            self._refuse(refused, opening, startup)
        except TimeoutError:
            self._refuse(ProtocolFault("login took too long"), opening, startup)
        except LinkClosed:
            self._note_refusal("client-left", "08006", "the client left during login", opening, startup)
        except RemoteProtocolError as fault:
            self._refuse(ProtocolFault(f"malformed message: {fault}"), opening, startup)
        else:
            await self._relay(live)
        await self._client.close()

    # --- greet -----------------------------------------------------------------------------------------

    def _greet(self, startup: StartupMessage) -> Opening:
        opening = read_opening(startup)
        if startup.minor > 0 or startup.unknown_options:
            self._client.write(negotiate_version(startup.unknown_options))
        return opening

    # --- authenticate ----------------------------------------------------------------------------------

    async def _authenticate(self) -> Identity:
        self._client.write(auth.authentication_cleartext())
        frame = await self._password()
        try:
            token = auth.decode_password(frame.body).decode("ascii")
        except UnicodeDecodeError:
            raise TokenRefused("not-ascii", "the password holds bytes that no token has") from None
        if not token:
            raise TokenRefused("empty", "the password is empty")
        return await self._services.provider.verify(token, self._services.clock())

    async def _password(self) -> Frame:
        reader = FrameReader(lambda _: self._services.limits.token_bytes + 6)
        while True:
            data = await self._client.receive()
            if not data:
                raise LinkClosed
            try:
                frames = reader.feed(data)
            except RemoteProtocolError:
                raise TokenRefused("too-large", "the password message is over the size limit") from None
            if not frames:
                continue
            if len(frames) > 1 or reader.pending or frames[0].kind != 0x70:
                raise ProtocolFault("expected a password and nothing else")
            return frames[0]

    # --- authorize -------------------------------------------------------------------------------------

    async def _authorize(self, identity: Identity, opening: Opening) -> Access:
        self._identity = identity
        services = self._services
        policy = choose_policy(services.policies, identity, opening)
        target = services.targets[policy.connection]
        window, ends_at = await services.windows.admit(identity, policy, self._source, opening.reason)
        return Access(identity, policy, window, ends_at, target)

    # --- connect ---------------------------------------------------------------------------------------

    async def _connect(self, access: Access, opening: Opening) -> _Live:
        services = self._services

        def settings(server_major: int) -> dict[str, str]:
            return session_settings(access, opening, self._id, server_major, services.clock())

        servers = services.servers[access.policy.connection]
        backend = await servers.connect(settings, services.limits.server_login_seconds)
        try:
            return self._introduce(access, opening, backend)
        except BaseException:
            await backend.leave()
            raise

    def _introduce(self, access: Access, opening: Opening, backend: Backend) -> _Live:
        """Record the session, then tell the client that it is in. Raises JournalUnavailable, fatal."""
        services, upstream = self._services, backend.upstream
        context = SessionContext(
            identity=access.identity,
            policy=access.policy.name,
            policy_version=access.policy.version,
            window=access.window,
            session_id=self._id,
            connection=access.target.name,
            backend_pid=upstream.backend_pid,
            source=self._source,
        )
        now = services.clock()
        if now >= access.ends_at:
            raise _window_ended(access)
        try:
            services.journal.append(
                [
                    SessionOpened(
                        context=context,
                        at=now,
                        application_name=opening.application_name,
                        tls=self._tls,
                        startup_user=opening.user,
                        server_version=upstream.server_version,
                    )
                ]
            )
        except JournalUnavailable:
            raise JournalUnavailable(fatal=True) from None
        conversation = Conversation(
            services, access, context, self._client, upstream, tripwire(access, upstream.parameters)
        )
        self._client.write(
            auth.authentication_ok()
            + upstream.greeting
            + auth.backend_key_data(upstream.backend_pid, self.cancel_secret)
            + ready_for_query(b"I")
        )
        return _Live(context, access, backend, conversation)

    # --- relay -----------------------------------------------------------------------------------------

    async def _relay(self, live: _Live) -> None:
        services = self._services
        self._live = live
        services.registry.add(self._id, self)
        services.telemetry.session(+1)
        services.telemetry.login("opened")
        try:
            ending = await live.conversation.run()
            await self._end(live, ending)
        finally:
            live.backend.release()
            services.registry.remove(self._id)
            services.telemetry.session(-1)
            self._finished.set()

    async def cancel(self) -> None:
        """The client's own cancel: passed on to the server under the real key."""
        if self._live is not None:
            await cancel_running(self._live.upstream, _CANCEL_SECONDS)

    async def end(self, reason: str) -> None:
        """End this session from outside, and wait until its backend is gone."""
        live = self._live
        if live is None:
            return
        error: PgjitError = ShuttingDown() if reason == "shutdown" else _window_ended(live.access)
        live.conversation.over(Ending(reason, error))
        await self._finished.wait()

    # --- end -------------------------------------------------------------------------------------------

    async def _end(self, live: _Live, ending: Ending) -> None:
        """Leave no backend behind, tell the client, write it down."""
        conversation, services = live.conversation, self._services
        proof: Proof | None = None
        conversation.answers.ending, conversation.answers.farewell = True, ending.error
        if ending.clean:
            await live.upstream.leave()
        else:
            relay = conversation.relay
            conversation.give_up_copy()
            proof = await end_backend(
                live.upstream,
                live.backend.started,
                live.backend.control,
                services.clock,
                cancel=relay.single,
                answered=lambda: not relay.queue,
            )
            await _drained(live.upstream.link)
            services.telemetry.ended(proof.took_ms, gone=proof.gone)
            if not proof.gone:
                _log.critical("backend %s was not seen to end: %s", live.upstream.backend_pid, proof.error)
        live.upstream.link.abort()
        if ending.error is not None and not ending.told and not conversation.answers.inside_message:
            self._client.write(error_response(ending.error.fields()))
        now = services.clock()
        conversation.note(
            [
                *conversation.relay.cut(now),
                SessionEnded(
                    context=live.context,
                    at=now,
                    reason=ending.reason,
                    detail=ending.error.message if ending.error else None,
                    executions=conversation.relay.recorder.executions,
                    proof=proof,
                ),
            ]
        )
        await conversation.settle()

    # --- refusals --------------------------------------------------------------------------------------

    def _refuse(self, error: PgjitError, opening: Opening | None, startup: StartupMessage) -> None:
        """Write the refusal down with its true reason; the client reads the error's own words."""
        reason = error.explanation if isinstance(error, TokenRefused) else (error.detail or error.message)
        reference = error.reason if isinstance(error, TokenRefused) else error.reference
        told: PgjitError = error
        if not self._note_refusal(reference, error.fields()["C"], reason, opening, startup):
            told = JournalUnavailable(fatal=True)
        self._client.write(error_response(_told(told).fields()))

    def _note_refusal(
        self, reference: str, sqlstate: str, reason: str, opening: Opening | None, startup: StartupMessage
    ) -> bool:
        event = LoginRefused(
            at=self._services.clock(),
            source=self._source,
            reference=reference,
            sqlstate=sqlstate,
            reason=reason,
            startup_user=startup.parameters.get("user", "")[:63] or None,
            startup_database=(opening.database if opening else startup.parameters.get("database", "")[:63]) or None,
            identity=self._identity,
        )
        self._services.telemetry.login(reference)
        try:
            self._services.journal.append([event])
        except JournalUnavailable:
            _log.error("a refused login could not be recorded: %s from %s", reference, self._source)
            return False
        return True


def _told(error: PgjitError) -> PgjitError:
    """What the client reads: the server's own words stay in the journal."""
    if isinstance(error, ServerUnavailable):
        return error.told()
    return error


def _window_ended(access: Access) -> WindowEnded:
    return WindowEnded(policy=access.policy.name, ended_at=access.ends_at, retry_at=access.window.retry_at)


async def _drained(link: Link) -> None:
    """The server has closed; what it sent last goes on to the client, unless that one does not read."""
    try:
        await asyncio.wait_for(asyncio.shield(link.lost), 0.25)
    except TimeoutError:
        link.abort()
