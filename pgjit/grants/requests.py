"""Requests for access: the service that the door, the API and the chat channels call.

It finds or makes a request, applies a verdict, and waits for one. `request_lifecycle.py` decides each change; the
store applies it in one transaction.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from pgjit.clock import Clock
from pgjit.grants import request_lifecycle
from pgjit.grants.holder import Holder
from pgjit.grants.listing import ListPage, RequestFilter
from pgjit.grants.request import Ask, Request, RequestState
from pgjit.grants.request_refusals import ApprovalVoid, NoReviewHere, NotAReviewer, RequestUnknown, UnfitValue
from pgjit.grants.reviewer_sign_in import check_sign_in
from pgjit.grants.reviewers import Reviewer, own_keys
from pgjit.grants.store import Store
from pgjit.grants.ties import Ties
from pgjit.identity.identity import Identity, IdentityKey
from pgjit.policy.grant_terms import Grant
from pgjit.policy.policy import Policy
from pgjit.random_id import random_id

__all__ = ["Requests", "check_ask"]

_AT_MOST = 12
"""New requests of one identity under one policy in an hour."""
_LONGEST_MATCHED = 256
"""Characters of a reason or ticket that is compared with a pattern."""
_LOOK_SECONDS = 1.0
"""A waiting login looks into the store this often, in case another node's notice is lost."""


class Requests:
    """`policies`: the policy of a name as it is now; None if there is none. `ties`: who owns programs."""

    def __init__(
        self, store: Store, clock: Clock, policies: Callable[[str], Policy | None], ties: Ties | None = None
    ) -> None:
        self._ties = ties
        self._store = store
        self._clock = clock
        self._policies = policies
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    async def make(
        self,
        asker: Identity,
        policy: Policy,
        connection: str,
        *,
        reason: str | None = None,
        ticket: str | None = None,
        ttl: timedelta | None = None,
        source: str | None = None,
        belongs_to: frozenset[IdentityKey] = frozenset(),
    ) -> Request:
        """The live request for exactly this, or a new one. A live one for something else is withdrawn.

        `belongs_to`: the asker's owners and sponsors, as far as token and directory name them.
        Raises NoReviewHere, UnfitValue, TooManyRequests, ReviewRefused, Locked, ServerUnavailable.
        """
        if policy.grant is not Grant.REVIEW or policy.terms.review is None or policy.terms.break_glass:
            raise NoReviewHere(policy.name)
        if connection != policy.connection:
            raise ValueError("a request is for the connection of its policy")
        holder = Holder.of(asker)
        if reason is None and ticket is None and ttl is None:
            live = RequestFilter(
                states=(RequestState.PENDING, RequestState.APPROVED), identity=asker.key, policy=policy.name
            )
            for request in (await self._store.requests(live)).items:
                same = request.ask.policy_version == policy.version and request.ask.holder == holder
                if same and not request_lifecycle.is_due(request, self._clock()):
                    return request  # nobody has to repeat what was asked
        check_ask(policy, reason, ticket, ttl)
        ask = Ask(
            identity=asker.key,
            connection=connection,
            policy=policy.name,
            policy_version=policy.version,
            ttl=policy.ttl if ttl is None else ttl,
            reason=reason or "",
            ticket=ticket,
            holder=holder,
        )
        own = own_keys(asker, belongs_to)
        if self._ties is not None and not holder.is_person:
            owners = await self._ties.owners_of(own_keys(asker) - ({asker.key} if asker.is_user else set()))
        else:
            owners = frozenset()
        now = self._clock()
        request = request_lifecycle.file(f"r_{random_id()}", ask, asker, policy, own, source, now)
        return await self._store.file_request(replace(request, owners=owners), now, at_most=_AT_MOST)

    async def approve(
        self,
        request_id: str,
        reviewer: Reviewer,
        *,
        comment: str | None = None,
        ttl: timedelta | None = None,
        digest: str | None = None,
    ) -> Request:
        """Raises RequestUnknown, RequestDecided, ApprovalVoid, UnfitValue, SignInNeeded; and as `may_review`."""
        now = self._clock()

        def change(request: Request) -> Request:
            changed = request_lifecycle.approve(request, reviewer, now, comment=comment, ttl=ttl, digest=digest)
            if changed is not request:
                self._check_policy(request, reviewer, now)
            return changed

        return await self._change(request_id, change, now)

    def check_approval(self, request: Request, reviewer: Reviewer) -> None:
        """Whether an approval by this reviewer would count now. Changes nothing; raises what `approve` raises."""
        now = self._clock()
        request_lifecycle.approve(request, reviewer, now)
        self._check_policy(request, reviewer, now)

    async def refuse(self, request_id: str, reviewer: Reviewer, *, reason: str, digest: str | None = None) -> Request:
        """Raises what `approve` raises."""
        now = self._clock()
        return await self._change(
            request_id,
            lambda request: request_lifecycle.refuse(request, reviewer, now, reason=reason, digest=digest),
            now,
        )

    async def withdraw(
        self, request_id: str, asker: IdentityKey, holder: Holder | None = None, *, reason: str | None = None
    ) -> Request:
        """By the requester, or the person that it acts for: to others the request is unknown.

        Raises RequestUnknown, RequestDecided.
        """
        now = self._clock()

        def change(request: Request) -> Request:
            own = holder == request.ask.holder or (holder is not None and holder.is_person)
            if request.ask.identity != asker or not own:
                raise RequestUnknown(request_id)
            return request_lifecycle.withdraw(request, now, reason)

        return await self._change(request_id, change, now)

    async def get(self, request_id: str) -> Request:
        """Raises RequestUnknown."""
        request = await self._store.request(request_id)
        if request is None:
            raise RequestUnknown(request_id)
        return request

    async def lapse_due(self, now: datetime) -> list[Request]:
        """Lapse the requests whose time is over, and return them."""
        lapsed = await self._store.lapse_requests(now)
        for request in lapsed:
            self.changed(request.id)
        return lapsed

    async def list(self, narrowed: RequestFilter, cursor: str | None = None, limit: int = 50) -> ListPage[Request]:
        """The newest first. Raises ValueError for a cursor that no page gave."""
        return await self._store.requests(narrowed, cursor, limit)

    async def wait(self, request_id: str, until: datetime) -> Request:
        """The request when it is no longer pending, or as it is at `until`. Raises RequestUnknown."""
        event, last = asyncio.Event(), self._clock.until(until)
        self._waiting[request_id].add(event)
        try:
            while True:
                event.clear()
                request = await self.get(request_id)
                left = last.left.total_seconds()
                if request.state is not RequestState.PENDING or left <= 0:
                    return request
                try:
                    await asyncio.wait_for(event.wait(), min(left, _LOOK_SECONDS))
                except TimeoutError:
                    continue
        finally:
            self._waiting[request_id].discard(event)
            if not self._waiting[request_id]:
                del self._waiting[request_id]

    def changed(self, request_id: str) -> None:
        """Wake those who wait for the request."""
        for event in self._waiting.get(request_id, ()):
            event.set()

    def wake(self) -> None:
        """Wake all who wait: the store has changed."""
        for request_id in tuple(self._waiting):
            self.changed(request_id)

    async def _change(self, request_id: str, change: Callable[[Request], Request], now: datetime) -> Request:
        request = await self._store.change_request(request_id, change, now)
        self.changed(request_id)
        return request

    def _check_policy(self, request: Request, reviewer: Reviewer, now: datetime) -> None:
        """A request under a policy that changed cannot be approved any more."""
        policy = self._policies(request.ask.policy)
        if policy is None or policy.version != request.ask.policy_version:
            raise ApprovalVoid(request, "The policy has changed since.")
        if policy.terms.review is not None and not reviewer.is_named_by(policy.terms.review):
            raise NotAReviewer(request)
        check_sign_in(request.id, reviewer, policy.terms.reviewer_sign_in, now)


def check_ask(policy: Policy, reason: str | None, ticket: str | None, ttl: timedelta | None) -> None:
    """Raises UnfitValue where the policy does not accept what is asked."""
    if ttl is not None and not timedelta() < ttl <= policy.ttl:
        raise UnfitValue.ttl(policy.name, policy.ttl)
    if policy.terms.reason.required and not (reason or "").strip():
        raise UnfitValue(
            "reason is missing",
            "reason-required",
            f"Policy `{policy.name}` requires a reason.",
            "Give it: in PGOPTIONS, as in `-c pgjit.reason='schema diff, week 47'`, or with the request.",
        )
    pattern = policy.terms.reason.pattern
    # `load.py` accepts no pattern that takes long on a text of this length.
    texts = [text for text in (reason, ticket) if text is not None and len(text) <= _LONGEST_MATCHED]
    if pattern is not None and not any(re.fullmatch(pattern, text) for text in texts):
        raise UnfitValue(
            "reason does not have the form that the policy requires",
            "reason-pattern",
            f"Under policy `{policy.name}` all of the reason or all of the ticket must match {pattern!r}.",
            "Give a reason or a ticket of that form.",
        )
    for text in (reason, ticket):
        if text is not None and len(text.encode()) > request_lifecycle.LONGEST_TEXT:
            raise UnfitValue(
                "reason is too long",
                "text-too-long",
                f"A reason or a ticket has at most {request_lifecycle.LONGEST_TEXT} bytes.",
                "Shorten it.",
            )
