"""One client connection, start to end: greet, authenticate, authorize, connect, relay, end.

Decides the order of these steps; other modules decide what each step accepts. Every path out of here ends the
backend.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from pgjit.audit.event import SessionContext, SessionOpened
from pgjit.errors import (
    JournalUnavailable,
    PgjitError,
    ProtocolFault,
    ServerUnavailable,
    TokenRefused,
)
from pgjit.identity.authentication_method import AuthenticationMethod
from pgjit.identity.identity import Identity, IdentityKey
from pgjit.policy.choose import opens
from pgjit.policy.policy import Policy
from pgjit.policy.unread import runs_unread
from pgjit.proxy.access import Access
from pgjit.proxy.authorization import Authorization, PolicyChanged
from pgjit.proxy.door.client_authentication import authenticate
from pgjit.proxy.door.connection_limits import ClientAddress
from pgjit.proxy.door.startup_request import StartupRequest, read_startup_request
from pgjit.proxy.door.startup_settings import check_for_any_policy
from pgjit.proxy.drain import NotAccepting
from pgjit.proxy.end_notices import EndNotices, may_send_notice
from pgjit.proxy.membership import ResolvedIdentity
from pgjit.proxy.registry import SessionView
from pgjit.proxy.relay.ending import Ending
from pgjit.proxy.relay.notices import Notices, login_notice
from pgjit.proxy.relay.pump import Pump
from pgjit.proxy.server_settings import next_login, session_settings, watched_parameters
from pgjit.proxy.services import Services
from pgjit.proxy.session_end import LiveSession, SessionEnd
from pgjit.proxy.window.end_errors import end_error, end_reason
from pgjit.proxy.window.wait_until import wait_until
from pgjit.random_id import random_id
from pgjit.server.link import Link
from pgjit.server.link_waits import LinkClosed
from pgjit.server.servers import Backend
from pgjit.server.upstream import cancel_running
from pgjit.telemetry.log_context import log_session, log_window
from pgjit.turns import take_turn
from pgwire.errors import RemoteProtocolError
from pgwire.messages import authentication as auth
from pgwire.messages.query import error_response, ready_for_query
from pgwire.messages.startup import StartupMessage, encode_negotiate_version

__all__ = ["Session"]

_log = logging.getLogger("pgjit.session")
_CANCEL_SECONDS = 5.0
_RETRIES = 3


class Session:
    """One client, on an encrypted link, after its startup message was read."""

    def __init__(self, services: Services, link: Link, peer: ClientAddress, tls: str) -> None:
        self._services = services
        self._client = link
        self._peer = peer
        self._authorization = Authorization(services, peer)
        self._tls = tls
        self._id = random_id()
        self._live: LiveSession | None = None
        self._ending: SessionEnd | None = None
        self.opened = False  # the login is over
        self.abandoned = False  # ended here before its backend was seen to be gone
        self._finished = asyncio.Event()
        self._identity: Identity | None = None
        self._cancelling: asyncio.Task[bool] | None = None
        self._minor = 0  # of the protocol version that is spoken
        self.cancel_secret = b""

    @property
    def window_id(self) -> str | None:
        return self._live.access.window.id if self._live else None

    @property
    def identity_key(self) -> IdentityKey | None:
        return self._live.access.identity.key if self._live else None

    @property
    def backend_pid(self) -> int | None:
        return self._live.upstream.backend_pid if self._live else None

    @property
    def idle(self) -> bool:
        return self._live is None or self._live.pump.state.idle

    @property
    def executions(self) -> int:
        return 0 if self._live is None else self._live.pump.state.recorder.executions

    @property
    def view(self) -> SessionView | None:
        return None if self._live is None else self._live.view

    @property
    def policy(self) -> Policy | None:
        return None if self._live is None else self._live.access.policy

    async def run(self, startup: StartupMessage, deadline: float) -> None:
        """Run the session from the startup message to its end. `deadline`: of the login, in the loop's time.

        Raises JournalUnavailable if the end could not be recorded, and otherwise only CancelledError.
        """
        log_session(self._id)
        try:
            await self._log_in(startup, deadline)
        finally:
            self._authorization.release()
            if self._cancelling is not None:
                self._cancelling.cancel()

    async def _log_in(self, startup: StartupMessage, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                request = self._greet(startup)
                identity = await self._authenticate(request)
                live = await self._authorize_and_connect(identity, request, deadline)
        except PgjitError as refused:
            self._refuse(refused, startup)
        except TimeoutError:
            self._refuse(ProtocolFault("login took too long"), startup)
        except asyncio.CancelledError:
            self._refuse(NotAccepting(), startup)
            raise
        except LinkClosed:
            self._note_refusal("client-left", "08006", "the client left during login", startup)
        except RemoteProtocolError as fault:
            self._refuse(ProtocolFault(f"malformed message: {fault}"), startup)
        else:
            await self._relay(live)
        await self._client.close()

    # --- greet -----------------------------------------------------------------------------------------

    def _greet(self, startup: StartupMessage) -> StartupRequest:
        if (answer := startup.negotiation) is not None:
            self._client.write(encode_negotiate_version(answer))
        self._minor = startup.spoken_minor
        return check_for_any_policy(
            read_startup_request(startup), self._services.policies.values(), self._services.targets
        )

    # --- authenticate ----------------------------------------------------------------------------------

    async def _authenticate(self, request: StartupRequest) -> Identity:
        """Verify the token."""
        services = self._services
        method = services.authentication.get(request.database, AuthenticationMethod.PASSWORD)
        self._identity = await authenticate(
            self._client, method, services.provider, services.limits.token_bytes, services.clock
        )
        return self._identity

    async def _authorize_and_connect(
        self, identity: Identity, request: StartupRequest, deadline: float
    ) -> LiveSession:
        """Resolve the groups, authorize, connect: again if a reload changed what the login was authorized by."""
        policies, resolve = self._services.policies, self._services.memberships.resolve
        for last in (*[False] * _RETRIES, True):
            resolved = await resolve(identity, lambda each: opens(policies, each, request.database, request.user))
            try:
                access = await self._authorization.authorize(resolved.identity, request, deadline)
                log_window(access.window.id)
                return await self._connect(access, resolved, request)
            except PolicyChanged:
                self._authorization.release()
                if last:
                    raise
        raise AssertionError("the last try returns or raises")

    # --- connect ---------------------------------------------------------------------------------------

    async def _connect(self, access: Access, resolved: ResolvedIdentity, request: StartupRequest) -> LiveSession:
        services = self._services
        self._authorization.confirm(access)
        servers = services.servers[access.policy.connection]
        backend = await servers.connect(
            lambda major: session_settings(access, request, self._id, major, services.clock()),
            services.limits.server_login_seconds,
            frozenset(request.settings),
            next_login(access, request, services.clock),
        )
        try:
            if runs_unread(access.policy.statements):
                await backend.hold_reserve_login()
            await take_turn()
            return self._open_session(access, resolved, request, backend)
        except BaseException:
            await backend.leave()
            raise

    def _open_session(
        self, access: Access, resolved: ResolvedIdentity, request: StartupRequest, backend: Backend
    ) -> LiveSession:
        """Record the session, then send AuthenticationOk. Raises JournalUnavailable, fatal."""
        services, upstream = self._services, backend.upstream
        self._authorization.confirm(access)
        context = SessionContext(
            identity=access.identity,
            policy=access.policy.name,
            policy_version=access.policy.version,
            window=access.window,
            session_id=self._id,
            connection=access.target.name,
            backend_pid=upstream.backend_pid,
            source=self._peer.source,
            statements_only=access.policy.record == "statements",
            redaction=access.policy.redaction,
            results=access.policy.results,
        )
        now = services.clock()
        if (early := services.windows.early_end(access.window.id)) is not None:
            raise end_error(early[0], access, early[1])
        if now >= access.ends_at:
            raise end_error(end_reason(access), access)
        try:
            opened = SessionOpened(
                context=context, at=now, application_name=request.application_name, tls=self._tls,
                startup_user=request.user, server_version=upstream.server_version,
                membership=resolved.evidence(access.policy), reason=request.reason, ticket=request.ticket,
                process=backend.process, server=str(upstream.address), node=services.node,
                worker=services.worker, database=access.target.database, balancer=self._peer.balancer,
            )  # fmt: skip
            services.journal.append([opened])
        except JournalUnavailable:
            raise JournalUnavailable(fatal=True) from None
        self.cancel_secret = services.cancels.new_secret(self._minor, upstream.backend_pid)
        pump = Pump(
            services,
            access,
            context,
            self._client,
            upstream,
            watched_parameters(access, upstream.parameters),
            services.windows.usage(access.window),
            services.windows.leases.of(access.window.id),
        )
        notices = Notices(request.settings.get("client_min_messages"), off=not request.notices)
        pump.state.notices = notices
        self._client.write(
            auth.authentication_ok()
            + upstream.greeting
            + auth.backend_key_data(upstream.backend_pid, self.cancel_secret)
            + (login_notice(access.window, access.policy, access.ends_at, now) if notices.wanted() else b"")
            + ready_for_query(b"I")
        )
        return LiveSession(context, access, resolved, backend, pump, now, request.application_name)

    # --- relay -----------------------------------------------------------------------------------------

    async def _relay(self, live: LiveSession) -> None:
        services = self._services
        self._live, self.opened = live, True
        services.registry.add(self._id, self)
        if services.kept_backends is not None:
            services.kept_backends.add(self._id, live.access.window, live.backend)
        services.telemetry.session_opened(live.access.policy.name)
        _log.info(
            "session of %s from %s is open under policy %s, on backend %d",
            live.context.identity.key.oid, self._peer.source, live.access.policy.name, live.context.backend_pid,
        )  # fmt: skip
        reason = "fault"
        token_timer = self._start_token_timer(live)
        notices = live.notices = EndNotices(self._client, live.pump, services.clock)
        notices.start(live.access)
        try:
            with services.memberships.watching(self, live.resolved, live.access.policy.group):
                ending = await live.pump.run()
            notices.stop()
            reason = ending.reason
            self._ending = SessionEnd(services, self._client, live, ending)
            try:
                await self._ending.carry_out()
            finally:
                self.abandoned = self._ending.abandoned
        finally:
            notices.stop()
            if token_timer is not None:
                token_timer.cancel()
            live.backend.release()
            live.pump.close()
            services.registry.remove(self._id)
            services.telemetry.session_ended(live.access.policy.name, reason)
            _log.info("session has ended: %s", reason)
            self._finished.set()
            self._live = self._ending = None

    def follow(self, policy: Policy, ends_at: datetime | None, rules_since: int) -> bool:
        return self._live is not None and self._live.follow(policy, ends_at, rules_since)

    def renew_notices(self) -> None:
        if self._live is not None:
            self._live.renew_notices()

    def hold(self) -> None:
        if self._live is not None:
            self._live.pump.hold()

    def cut_off(self) -> None:
        if self._live is not None:
            self._live.pump.cut_off()

    async def leave(self, reason: str, seconds: float) -> None:
        """The session cannot go on as it is: it ends as soon as nothing runs, or after `seconds`."""
        self.hold()
        if self._live is not None:
            await self._live.until_nothing_runs(seconds)
        await self.end(reason)

    def _start_token_timer(self, live: LiveSession) -> asyncio.Task[None] | None:
        """A timer for the token's expiry, if the policy binds the session to it. The window has its own timer."""
        access = live.access
        if access.ends_at >= access.window_ends_at:
            return None

        until = self._services.clock.until(access.ends_at)

        async def end_at_expiry() -> None:
            await wait_until(until)
            live.pump.over(Ending("token-expired", end_error("token-expired", access)))

        return asyncio.create_task(end_at_expiry())

    async def cancel(self) -> None:
        """Forward a client's cancel request to the server, with the server's own cancel key.

        Returns when the server has processed it. Concurrent requests share one, so that a client cannot make the
        server handle more than one at a time for a session.
        """
        if self._live is None:
            return
        if self._cancelling is None or self._cancelling.done():
            self._cancelling = asyncio.create_task(cancel_running(self._live.upstream, _CANCEL_SECONDS))
        await asyncio.wait({self._cancelling})

    def send_notice(self, notice: bytes) -> bool:
        live = self._live
        if live is None or not may_send_notice(live.pump):
            return False
        if live.pump.state.notices.wanted(live.pump.state.transaction_status):
            self._client.write(notice)
        return True

    async def end(self, reason: str, explanation: str | None = None) -> None:
        """End this session, and wait until its backend is gone.

        `explanation`: the reason that a person gave. A lost membership ends the window with its other sessions.
        """
        live = self._live
        if live is None:
            return
        live.pump.over(Ending(reason, end_error(reason, live.access, explanation)))
        if reason == "membership-lost":
            self._services.windows.end_now(live.access.window, reason)
        await self._finished.wait()

    def abandon(self) -> None:
        """Shutdown: stop waiting for the backend's end; the next process ends it."""
        if self._ending is not None:
            self._ending.abandon()

    # --- refusals --------------------------------------------------------------------------------------

    def _refuse(self, error: PgjitError, startup: StartupMessage) -> None:
        """Record the refusal with its true reason, and send the client the error's own text."""
        reason = error.explanation if isinstance(error, TokenRefused) else (error.detail or error.message)
        reference = error.reason if isinstance(error, TokenRefused) else error.reference
        client_error = error
        if not self._note_refusal(reference, error.fields()["C"], reason, startup):
            client_error = JournalUnavailable(fatal=True)
        self._client.write(error_response(_for_client(client_error).fields()))

    def _note_refusal(self, reference: str, sqlstate: str, reason: str, startup: StartupMessage) -> bool:
        return self._services.refused_logins.note(
            self._peer, reference, sqlstate, reason, startup=startup, identity=self._identity
        )


def _for_client(error: PgjitError) -> PgjitError:
    """The error for the client: the server's own messages stay in the journal."""
    if isinstance(error, ServerUnavailable):
        return error.for_client()
    return error
