"""One client connection, start to end: greet, authenticate, authorize, connect, relay, end.

Reads as the story of a session. What is accepted, allowed and refused is decided elsewhere and tried here in
order; every path out of here leaves no backend behind.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid

from pgjit.audit.event import SessionContext, SessionOpened
from pgjit.errors import (
    JournalUnavailable,
    PgjitError,
    ProtocolFault,
    ServerUnavailable,
    ShuttingDown,
    TokenRefused,
    TooManyConnections,
)
from pgjit.identity.authentication_method import AuthenticationMethod
from pgjit.identity.identity import Identity, IdentityKey
from pgjit.policy.choose import choose_policy, opens
from pgjit.policy.policy import Policy
from pgjit.policy.unread import runs_unread
from pgjit.proxy.access import Access
from pgjit.proxy.door.client_authentication import authenticate
from pgjit.proxy.door.startup_request import StartupRequest, read_startup_request
from pgjit.proxy.door.startup_settings import check_for_any_policy, check_settings
from pgjit.proxy.membership import ResolvedIdentity
from pgjit.proxy.relay.pump import Ending, Pump
from pgjit.proxy.server_settings import session_settings, tripwire
from pgjit.proxy.services import Services
from pgjit.proxy.session_end import LiveSession, SessionEnd
from pgjit.proxy.window.end_errors import end_error, end_reason
from pgjit.proxy.window.wait_until import reached
from pgjit.server.link import Link, LinkClosed
from pgjit.server.servers import Backend
from pgjit.server.upstream import cancel_running
from pgwire.errors import RemoteProtocolError
from pgwire.messages import authentication as auth
from pgwire.messages.query import error_response, ready_for_query
from pgwire.messages.startup import StartupMessage, encode_negotiate_version

__all__ = ["Session"]

_CANCEL_SECONDS = 5.0
_SECRET_BYTES = {0: 4, 2: 32}
"""Length of a cancel key's secret by the minor version: what PostgreSQL itself sends."""


class Session:
    """One client, on an encrypted link, after its startup message was read."""

    def __init__(self, services: Services, link: Link, source: str, tls: str) -> None:
        self._services = services
        self._client = link
        self._source = source
        self._tls = tls
        self._id = "s_" + uuid.uuid4().hex
        self._live: LiveSession | None = None
        self._ending: SessionEnd | None = None
        self.abandoned = False  # it is over for this process, and its backend was not seen to end
        self._finished = asyncio.Event()
        self._identity: Identity | None = None
        self._place: tuple[IdentityKey, str] | None = None  # among the sessions of its identity, under its policy
        self._cancelling: asyncio.Task[bool] | None = None
        self.cancel_secret = b""

    @property
    def window_id(self) -> str | None:
        return self._live.access.window.id if self._live else None

    @property
    def backend_pid(self) -> int | None:
        return self._live.upstream.backend_pid if self._live else None

    @property
    def idle(self) -> bool:
        return self._live is None or self._live.pump.state.idle

    async def run(self, startup: StartupMessage, deadline: float) -> None:
        """Live from the startup message to the end; be logged in by `deadline`, in the loop's time.

        Raises JournalUnavailable where the end could not be recorded, and nothing else but cancellation.
        """
        try:
            await self._log_in(startup, deadline)
        finally:
            if self._place is not None:
                self._services.give_back(*self._place)
            if self._cancelling is not None:
                self._cancelling.cancel()

    async def _log_in(self, startup: StartupMessage, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                opening = self._greet(startup)
                standing = await self._authenticate(opening)
                access = await self._authorize(standing.identity, opening)
                live = await self._connect(access, standing, opening)
        except PgjitError as refused:
            self._refuse(refused, startup)
        except TimeoutError:
            self._refuse(ProtocolFault("login took too long"), startup)
        except asyncio.CancelledError:
            self._refuse(ShuttingDown(), startup)
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
        self.cancel_secret = secrets.token_bytes(_SECRET_BYTES[startup.spoken_minor])
        return check_for_any_policy(
            read_startup_request(startup), self._services.policies.values(), self._services.targets
        )

    # --- authenticate ----------------------------------------------------------------------------------

    async def _authenticate(self, opening: StartupRequest) -> ResolvedIdentity:
        """Who it is, and with which groups."""
        services = self._services
        method = services.authentication.get(opening.database, AuthenticationMethod.PASSWORD)
        self._identity = await authenticate(
            self._client, method, services.provider, services.limits.token_bytes, services.clock
        )
        return await services.memberships.resolve(
            self._identity, lambda known: opens(services.policies, known, opening.database, opening.user)
        )

    # --- authorize -------------------------------------------------------------------------------------

    async def _authorize(self, identity: Identity, opening: StartupRequest) -> Access:
        services = self._services
        policy = choose_policy(services.policies, identity, opening.database, opening.user)
        target = services.targets[policy.connection]
        check_settings(opening, policy, target)
        if policy.identity.bind_to_token and services.clock() >= identity.expires_at:
            raise TokenRefused("expired", "the token has ended, and the policy binds sessions to it")
        self._take_place(identity.key, policy)
        # A window that opens while no server can be reached, or nothing can be judged yet, is spent for nothing.
        await services.servers[policy.connection].check_reachable(services.limits.server_login_seconds)
        await services.require_catalog(policy)
        window, ends_at = await services.windows.admit(identity, policy, self._source, opening.reason)
        return Access(identity, policy, window, ends_at, target)

    def _take_place(self, key: IdentityKey, policy: Policy) -> None:
        """Before a window is opened: who has no place gets no window either."""
        places, under = self._services.sessions_of, self._services.sessions_under
        most = policy.limits.sessions
        if not under.take((key, policy.name), most=most):
            raise TooManyConnections(
                "too many sessions under this policy",
                reference="limit-sessions",
                detail=f"The policy gives at most {most} at once (limits.sessions).",
                hint="Close sessions that are not used, or use a smaller pool.",
            )
        if not places.take(key):
            under.give_back((key, policy.name))
            raise TooManyConnections(
                "too many sessions of your identity",
                reference="too-many-sessions-of-identity",
                detail=f"At most {places.most} are open at once, under all policies together.",
                hint="Close sessions that are not used, or use a smaller pool.",
            )
        self._place = key, policy.name

    # --- connect ---------------------------------------------------------------------------------------

    async def _connect(self, access: Access, standing: ResolvedIdentity, opening: StartupRequest) -> LiveSession:
        services = self._services
        servers = services.servers[access.policy.connection]
        backend = await servers.connect(
            lambda major: session_settings(access, opening, self._id, major, services.clock()),
            services.limits.server_login_seconds, frozenset(opening.settings),
        )  # fmt: skip
        try:
            if runs_unread(access.policy.statements):
                await backend.hold_reserve_login()
            return self._introduce(access, standing, opening, backend)
        except BaseException:
            await backend.leave()
            raise

    def _introduce(
        self, access: Access, standing: ResolvedIdentity, opening: StartupRequest, backend: Backend
    ) -> LiveSession:
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
            raise end_error(end_reason(access), access)
        try:
            opened = SessionOpened(
                context=context, at=now, application_name=opening.application_name, tls=self._tls,
                startup_user=opening.user, server_version=upstream.server_version,
                membership=standing.evidence(access.policy), reason=opening.reason, ticket=opening.ticket,
                process=backend.process,
            )  # fmt: skip
            services.journal.append([opened])
        except JournalUnavailable:
            raise JournalUnavailable(fatal=True) from None
        pump = Pump(
            services,
            access,
            context,
            self._client,
            upstream,
            tripwire(access, upstream.parameters),
            services.windows.usage(access.window),
        )
        self._client.write(
            auth.authentication_ok()
            + upstream.greeting
            + auth.backend_key_data(upstream.backend_pid, self.cancel_secret)
            + ready_for_query(b"I")
        )
        return LiveSession(context, access, standing, backend, pump)

    # --- relay -----------------------------------------------------------------------------------------

    async def _relay(self, live: LiveSession) -> None:
        services = self._services
        self._live = live
        services.registry.add(self._id, self)
        if services.kept_backends is not None:
            services.kept_backends.begun(self._id, live.access.window, live.backend)
        services.telemetry.session(+1)
        services.telemetry.login("opened")
        expiring = self._until_token_ends(live)
        try:
            with services.memberships.watching(self, live.standing, live.access.policy.group):
                ending = await live.pump.run()
            self._ending = SessionEnd(services, self._client, live, ending)
            try:
                await self._ending.carry_out()
            finally:
                self.abandoned = self._ending.abandoned
        finally:
            if expiring is not None:
                expiring.cancel()
            live.backend.release()
            live.pump.close()
            services.registry.remove(self._id)
            services.telemetry.session(-1)
            self._finished.set()
            self._live = self._ending = None

    def _until_token_ends(self, live: LiveSession) -> asyncio.Task[None] | None:
        """Where the policy binds the session to its token: ends it at that time. The window has a timer already."""
        access = live.access
        if access.ends_at >= access.window_ends_at:
            return None

        until = self._services.clock.until(access.ends_at)

        async def carry_out() -> None:
            await reached(until)
            live.pump.over(Ending("token-expired", end_error("token-expired", access)))

        return asyncio.create_task(carry_out())

    async def cancel(self) -> None:
        """The client's own cancel: passed on to the server under the real key, one at a time.

        Returns when the server has dealt with it. Who comes meanwhile waits for the one that is under way, so
        that nobody makes the server serve more than one cancel for a session.
        """
        if self._live is None:
            return
        if self._cancelling is None or self._cancelling.done():
            self._cancelling = asyncio.create_task(cancel_running(self._live.upstream, _CANCEL_SECONDS))
        await asyncio.wait({self._cancelling})

    async def end(self, reason: str) -> None:
        """End this session from outside, and wait until its backend is gone."""
        live = self._live
        if live is None:
            return
        live.pump.over(Ending(reason, end_error(reason, live.access)))
        await self._finished.wait()

    def abandon(self) -> None:
        """This process stops: an end that is under way is left to the one that comes after."""
        if self._ending is not None:
            self._ending.abandon()

    # --- refusals --------------------------------------------------------------------------------------

    def _refuse(self, error: PgjitError, startup: StartupMessage) -> None:
        """Write the refusal down with its true reason; the client reads the error's own words."""
        reason = error.explanation if isinstance(error, TokenRefused) else (error.detail or error.message)
        reference = error.reason if isinstance(error, TokenRefused) else error.reference
        shown: PgjitError = error
        if not self._note_refusal(reference, error.fields()["C"], reason, startup):
            shown = JournalUnavailable(fatal=True)
        self._client.write(error_response(_for_client(shown).fields()))

    def _note_refusal(self, reference: str, sqlstate: str, reason: str, startup: StartupMessage) -> bool:
        return self._services.refused_logins.note(
            self._source, reference, sqlstate, reason, startup=startup, identity=self._identity
        )


def _for_client(error: PgjitError) -> PgjitError:
    """What the client reads: the server's own words stay in the journal."""
    if isinstance(error, ServerUnavailable):
        return error.for_client()
    return error
