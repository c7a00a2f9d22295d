"""What a login may do: its policy, its place among the sessions, and its window. Returns the `Access`.

Decides the order of these checks. A window is opened last, so that none is wasted on a login that fails. Where people
decide, the login makes or finds the request, and waits for the verdict if the client wants it.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from pgjit.errors import AccessRefused, PgjitError, TokenRefused, TooManyConnections
from pgjit.grants.holder import HolderKey
from pgjit.grants.request import Request, RequestState
from pgjit.grants.request_refusals import ReviewNeeded, ReviewPending, ReviewRefused, TooManySessions
from pgjit.grants.requests import check_ask
from pgjit.grants.window import LoginAsk, Window
from pgjit.identity.identity import Identity
from pgjit.policy.choose import choose_policy
from pgjit.policy.policy import Grant, Policy
from pgjit.proxy.access import Access
from pgjit.proxy.door.connection_limits import ClientAddress
from pgjit.proxy.door.startup_request import StartupRequest
from pgjit.proxy.door.startup_settings import check_settings
from pgjit.proxy.services import Services
from pgjit.proxy.siblings import Siblings

__all__ = ["Authorization", "PolicyChanged"]

_log = logging.getLogger("pgjit.session")
_LOGIN_SECONDS = 5.0
"""Seconds of a login that are kept for the server, when it waits for a verdict."""


class PolicyChanged(AccessRefused):
    """A reload of the configuration changed what the login had been authorized by."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was changed during the login",
            reference="changed-during-login",
            detail="The login was authorized by what was in force when it began.",
            hint="Connect again: what is in force now decides.",
        )


class Authorization:
    """The authorization of one login. It holds a quota place of the session until `release`."""

    def __init__(self, services: Services, peer: ClientAddress) -> None:
        self._services = services
        self._peer = peer
        self._place: tuple[HolderKey, str] | None = None  # the quota place: holder and policy

    async def authorize(self, identity: Identity, request: StartupRequest, deadline: float) -> Access:
        """Raises PgjitError. `deadline`: of the login, in the loop's time."""
        services = self._services
        policy = choose_policy(services.policies, identity, request.database, request.user, services.databases)
        target = services.targets[policy.connection]
        check_settings(request, policy, target)
        if policy.identity.bind_to_token and services.clock() >= identity.expires_at:
            raise TokenRefused("expired", "the token has ended, and the policy binds sessions to it")
        if policy.grant is Grant.ON_REQUEST:
            check_ask(policy, request.stated_reason, request.ticket, request.ttl)
        await self._take_place(HolderKey.of(identity), policy)
        # Check first: a window that opens while no server answers, or no catalog is read, would be wasted.
        await services.servers[policy.connection].check_reachable(services.limits.server_login_seconds)
        await services.require_catalog(policy)
        self._confirm_policy(policy)
        window, ends_at = await self._admit(identity, policy, request, deadline)
        return Access(identity, policy, window, ends_at, target, await self._request_of(window))

    def confirm(self, access: Access) -> None:
        """The policy and the connection are still those of the authorization. Raises PolicyChanged.

        INVARIANT: no session opens under rules that are not in force any more, however long its login took.
        """
        services = self._services
        self._confirm_policy(access.policy)
        if services.targets.get(access.target.name) is not access.target:
            raise PolicyChanged(f"connection `{access.target.name}`")

    def _confirm_policy(self, policy: Policy) -> None:
        current = self._services.policies.get(policy.name)
        if current is None or current.version != policy.version:
            raise PolicyChanged(f"policy `{policy.name}`")

    async def _admit(
        self, identity: Identity, policy: Policy, request: StartupRequest, deadline: float
    ) -> tuple[Window, datetime]:
        """Join or open the window. Where people decide, make or find the request, and wait if the client wants it."""
        services, source = self._services, self._peer.source
        ask = LoginAsk(ttl=request.ttl, reason=request.stated_reason, ticket=request.ticket)
        try:
            return await services.windows.admit(identity, policy, source, request.reason, ask, lambda: self._places)
        except ReviewNeeded:
            access_request = await services.requests.make(
                identity, policy, policy.connection,
                reason=ask.reason, ticket=ask.ticket, ttl=ask.ttl, source=source,
            )  # fmt: skip
        if access_request.state is RequestState.PENDING:
            access_request = await self._wait(access_request, request.wait or timedelta(), deadline)
            self._confirm_policy(policy)
        if access_request.state is RequestState.APPROVED:
            if self._place is None:
                await self._take_place(HolderKey.of(identity), policy)
            return await services.windows.admit(identity, policy, source, request.reason, ask, lambda: self._places)
        if access_request.state is RequestState.REFUSED:
            raise ReviewRefused(access_request)
        raise ReviewPending(access_request)

    async def _request_of(self, window: Window) -> Request | None:
        """The request behind the window, for `SHOW pgjit.request`. A login does not fail for want of it."""
        if window.request is None:
            return None
        try:
            return await self._services.requests.get(window.request)
        except PgjitError as fault:
            _log.warning("request %s cannot be read: %s", window.request, fault.message)
            return None

    async def _wait(self, request: Request, wait: timedelta, deadline: float) -> Request:
        """Wait for the verdict without a session's place: the identity may use its open windows meanwhile."""
        # The login after the verdict needs its part of the time that a login may take.
        left = timedelta(seconds=deadline - asyncio.get_running_loop().time() - _LOGIN_SECONDS)
        wait = min(wait, left)
        if wait <= timedelta():
            return request
        self.release()
        with self._services.waiting_logins.place(request.ask.holder_key, self._peer.network, request.id):
            return await self._services.requests.wait(request.id, self._services.clock() + wait)

    # --- quota places ----------------------------------------------------------------------------------

    async def _take_place(self, key: HolderKey, policy: Policy) -> None:
        """Take a quota place. Done before a window is opened: without a place there is no window."""
        services, most = self._services, policy.limits.sessions
        per_identity, per_policy = services.identity_quota, services.policy_quota
        if not per_policy.take((key, policy.name), most=most):
            assert most is not None
            raise TooManySessions(most)
        if not per_identity.take(key):
            per_policy.give_back((key, policy.name))
            raise _too_many(per_identity.most)
        if services.siblings is not None and not await self._take_place_among(services.siblings, key, policy):
            raise _too_many(per_identity.most)
        self._place = key, policy.name

    async def _take_place_among(self, siblings: Siblings, key: HolderKey, policy: Policy) -> bool:
        """Take the place that counts for all workers of this node; without it, give back this worker's own.

        Raises SupervisorGone.
        """
        taken = False
        try:
            taken = await siblings.take_place(key)
        finally:
            if not taken:
                self._services.identity_quota.give_back(key)
                self._services.policy_quota.give_back((key, policy.name))
        return taken

    @property
    def _places(self) -> int:
        """How many places the holder has under the policy, on this node."""
        return 0 if self._place is None else self._services.policy_quota[self._place]

    def release(self) -> None:
        """Give back the quota place. Without one, nothing happens."""
        if self._place is not None:
            self._services.release_place(*self._place)
            self._place = None


def _too_many(most: int | None) -> TooManyConnections:
    return TooManyConnections(
        "too many sessions of your identity",
        reference="too-many-sessions-of-identity",
        detail=f"At most {most} are open at once, under all policies together.",
        hint="Close sessions that are not used, or use a smaller pool.",
    )
