"""Group memberships: resolved at login, rechecked while sessions live; a session ends when its membership is lost.

Decides when a token's claim is enough and when the directory is queried, once for all sessions of an identity. The
meaning of an answer, and the time of the next query, are decided in `identity/membership_rechecks.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from pgjit.audit.event import Evidence
from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.identity.directory import Directory, DirectoryAnswer, DirectoryUnavailable, Principal, PrincipalState
from pgjit.identity.identity import GroupId, Identity
from pgjit.identity.membership_rechecks import (
    DirectoryAnswerCache,
    GroupSource,
    MembershipRechecks,
    MembershipStatus,
    RecheckSchedule,
    TokenTrust,
    membership_status,
)
from pgjit.policy.policy import Policy
from pgjit.proxy.ends import EndableSession, end_sessions
from pgjit.single_flight import SingleFlightByKey
from pgjit.telemetry.dependency import ExternalDependency

__all__ = ["Denials", "Memberships", "ResolvedIdentity"]

_log = logging.getLogger("pgjit.membership")
_MOST_QUERIES = 16  # concurrent queries to the directory
_REFUSAL_CACHE = timedelta(seconds=5)
"""A refusal is repeated for this long without a new query: repeated logins must not flood the directory."""


@dataclass(frozen=True, slots=True)
class ResolvedIdentity:
    """An identity with its effective groups, their source, and when they were checked."""

    identity: Identity
    source: Literal["claim", "graph"]
    checked_at: datetime
    answer: DirectoryAnswer | None = None  # None: never rechecked
    actor: DirectoryAnswer | None = None  # about the app that acts for the user

    def evidence(self, policy: Policy) -> Evidence:
        """The membership or role that opens `policy` to the identity."""
        if policy.group is None:
            role, issued_at = policy.identity.role, self.identity.issued_at
            return Evidence(group=None, role=role, source="claim", checked_at=issued_at)
        return Evidence(group=policy.group, role=None, source=self.source, checked_at=self.checked_at)


class Denials(Protocol):
    """Keeps denials beyond this process. Both methods raise ServerUnavailable."""

    async def keep_denial(self, principal: Principal, answer: DirectoryAnswer, until: datetime) -> None: ...

    async def drop_denial(self, principal: Principal) -> None: ...


@dataclass(slots=True, eq=False)
class _Member:
    session: EndableSession
    ending: bool = False


@dataclass(frozen=True, slots=True)
class _Requirement:
    """A session needs its principal to be enabled and, if `group` is set, a member of it."""

    member: _Member
    group: GroupId | None
    end_reason: str  # of the session, if this requirement is no longer met


_MOST_UNCONFIRMED = 100_000
"""Limit on the tracked principals whose tokens the directory has not confirmed. More mean that it is down."""


class Memberships:
    """Without a directory the groups are those of the token, and are not rechecked."""

    def __init__(
        self,
        directory: Directory | None = None,
        *,
        source: GroupSource = GroupSource.CLAIM,
        groups: Iterable[GroupId] = (),
        schedule: RecheckSchedule | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        denials: Denials | None = None,
        denied: Iterable[tuple[Principal, DirectoryAnswer]] = (),
    ) -> None:
        """`groups`: the groups of all policies; the directory is queried for these only. `jitter` returns 0 to 1.

        `denials` stores the directory's denials; `denied` are those that an earlier process stored.
        """
        self._dependency = ExternalDependency("directory", "graph")
        self._directory = None if source is GroupSource.CLAIM else directory
        self._source = source
        self._groups = frozenset(groups)
        self._schedule = schedule or RecheckSchedule()
        self._rechecks = MembershipRechecks(self._schedule)
        self._answers = DirectoryAnswerCache(self._schedule, clock())
        self._denials = denials
        self._denied: set[Principal] = set()  # principals with a stored denial
        for principal, answer in denied:
            self._answers.record(principal, answer)
            self._denied.add(principal)
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._requirements: dict[Principal, list[_Requirement]] = {}
        self._queries: SingleFlightByKey[Principal, DirectoryAnswer] = SingleFlightByKey(
            stopped=lambda: DirectoryUnavailable("pgjit is stopping")
        )
        self._query_slots = asyncio.Semaphore(_MOST_QUERIES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failing_since: datetime | None = None  # all look-ups fail since then
        self._unconfirmed: dict[Principal, datetime] = {}

    # --- life ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        if self._directory is not None:
            self._spawn(self._watch())

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._queries.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def look_for(self, groups: Iterable[GroupId]) -> None:
        """The groups of all policies are these from now on. Answers that lack one of them are asked for again."""
        self._groups = frozenset(groups)

    @property
    def dependencies(self) -> tuple[ExternalDependency, ...]:
        """The directory, if there is one."""
        return () if self._directory is None else (self._dependency,)

    def oldest_age(self, now: datetime) -> float:
        """Seconds since the oldest answer that a live session relies on; 0 without sessions."""
        answers = (self._rechecks.latest(principal) for principal in self._requirements)
        return max((max(0.0, (now - each.at).total_seconds()) for each in answers if each is not None), default=0.0)

    # --- login ---------------------------------------------------------------------------------------------

    async def resolve(self, identity: Identity, suffices: Callable[[Identity], bool]) -> ResolvedIdentity:
        """The identity with its groups. `suffices`: whether these groups open the requested connection.

        Raises TokenRefused if the directory reports that the principal, or the app that acts for it, is disabled or
        gone. Raises ServerUnavailable if there is no recent answer.
        """
        if self._directory is None:
            return ResolvedIdentity(identity, "claim", identity.issued_at)
        acting = Principal.acting_for(identity)
        answer, actor = await asyncio.gather(
            self._subject(identity, suffices), _no_actor() if acting is None else self._actor(acting, identity)
        )
        if actor is not None and actor.state is not PrincipalState.ENABLED:
            raise TokenRefused(
                f"acting-app-{actor.state}",
                f"the directory reports that the app that acts for the user is {actor.state}",
            )
        return _resolved(identity, answer, actor)

    def _subject(
        self, identity: Identity, suffices: Callable[[Identity], bool]
    ) -> Coroutine[None, None, DirectoryAnswer]:
        claimed = DirectoryAnswer(
            at=self._clock(), state=PrincipalState.ENABLED, groups=identity.groups & self._groups, claimed=True
        )
        return self._find(
            Principal.of(identity),
            identity.issued_at,
            claimed if self._source is GroupSource.CLAIM_THEN_GRAPH and identity.groups_known else None,
            lambda answer: _opens(answer, identity, suffices),
        )

    def _actor(self, acting: Principal, identity: Identity) -> Coroutine[None, None, DirectoryAnswer]:
        claimed = DirectoryAnswer(at=self._clock(), state=PrincipalState.ENABLED, groups=frozenset(), claimed=True)
        return self._find(
            acting,
            identity.issued_at,
            claimed if self._source is GroupSource.CLAIM_THEN_GRAPH else None,
            lambda answer: answer.state is PrincipalState.ENABLED,
        )

    async def _find(
        self,
        principal: Principal,
        issued_at: datetime,
        claimed: DirectoryAnswer | None,
        suffices: Callable[[DirectoryAnswer], bool],
    ) -> DirectoryAnswer:
        """A cached answer, or a new one. `claimed`: the token's claim as an answer, if a claim may be enough."""
        now = self._clock()
        trust = TokenTrust.CONTRADICTED
        if claimed is not None and not self._unconfirmed_too_long(principal, now):
            trust = self._answers.trust_in_token(principal, issued_at, now, suffices)
        if claimed is not None and trust is TokenTrust.TRUSTED:
            return self._accept_claim(principal, claimed)
        latest = self._answers.latest(principal)
        max_age = self._schedule.recheck if latest is not None and suffices(latest) else _REFUSAL_CACHE
        if latest is not None and now - latest.at < min(max_age, self._schedule.recheck):
            return latest
        try:
            answer = await self._query(principal)
        except DirectoryUnavailable as unavailable:
            latest = self._answers.latest(principal)
            if latest is not None and self._clock() - latest.at < self._schedule.max_stale:
                return latest
            raise ServerUnavailable(
                "memberships cannot be checked now",
                reference="directory-unavailable",
                detail=f"The directory does not answer: {unavailable}.",
                hint="Try again in a moment; the operators of this proxy have to look at its directory.",
            ) from None
        await self._store_denial(principal, answer, denied=not suffices(answer))
        return answer

    async def _store_denial(self, principal: Principal, answer: DirectoryAnswer, *, denied: bool) -> None:
        """INVARIANT: a denial by the directory outlives this process, until the directory answers otherwise."""
        if self._denials is None or not (denied or principal in self._denied):
            return
        try:
            if denied:
                await self._denials.keep_denial(principal, answer, self._answers.last_expiry_before(answer))
                self._denied.add(principal)
            else:
                await self._denials.drop_denial(principal)
                self._denied.discard(principal)
        except ServerUnavailable as fault:
            _log.error("the directory's denial of %s is not stored: %s", principal.key.oid, fault.detail)

    def _accept_claim(self, principal: Principal, claimed: DirectoryAnswer) -> DirectoryAnswer:
        if len(self._unconfirmed) < _MOST_UNCONFIRMED:
            self._unconfirmed.setdefault(principal, claimed.at)  # until the directory confirms it
        return claimed

    def _unconfirmed_too_long(self, principal: Principal, now: datetime) -> bool:
        """Whether a claim is no longer enough: this principal, or any, was not confirmed for too long."""
        since = min(filter(None, (self._failing_since, self._unconfirmed.get(principal))), default=None)
        return since is not None and now - since >= self._schedule.max_stale

    # --- sessions ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def watching(self, session: EndableSession, resolved: ResolvedIdentity, group: GroupId | None) -> Iterator[None]:
        """Recheck while the session lives. `group`: of the policy; None for a policy by app role."""
        with contextlib.ExitStack() as stack:
            member = _Member(session)
            if resolved.answer is not None:
                requirement = _Requirement(member, group, "membership-lost")
                stack.enter_context(self._required(Principal.of(resolved.identity), requirement, resolved.answer))
            acting = Principal.acting_for(resolved.identity)
            if resolved.actor is not None and acting is not None:
                requirement = _Requirement(member, None, "acting-app-lost")
                stack.enter_context(self._required(acting, requirement, resolved.actor))
            yield

    @contextlib.contextmanager
    def _required(self, principal: Principal, requirement: _Requirement, answer: DirectoryAnswer) -> Iterator[None]:
        self._rechecks.open_session(principal, answer, self._first_recheck(answer))
        self._requirements.setdefault(principal, []).append(requirement)
        try:
            yield
        finally:
            self._rechecks.close_session(principal)
            others = [each for each in self._requirements.pop(principal) if each is not requirement]
            if others:
                self._requirements[principal] = others

    def _first_recheck(self, answer: DirectoryAnswer) -> datetime:
        """A claim is checked soon, an answer of the directory within the interval; jitter spreads the queries."""
        recheck = self._schedule.recheck
        if answer.claimed:
            return answer.at + min(recheck / 4, timedelta(seconds=2)) * self._jitter()
        return answer.at + recheck * (1 + self._jitter()) / 2

    async def _watch(self) -> None:
        interval = min(0.5, self._schedule.recheck / timedelta(seconds=10))
        while True:
            self.tick()
            await self._sleep(interval)

    def tick(self) -> None:
        """Query the principals that are due, and end sessions whose membership is lost or unconfirmed."""
        now = self._clock()
        for principal in self._rechecks.due(now):
            self._spawn(self._recheck(principal))
        for principal in list(self._requirements):
            self._end_lost_sessions(principal, now)

    async def _recheck(self, principal: Principal) -> None:
        try:
            await self._query(principal)
        except DirectoryUnavailable as unavailable:
            self._rechecks.record_failure(principal, self._clock(), unavailable.retry_after)
        self._end_lost_sessions(principal, self._clock())

    def _end_lost_sessions(self, principal: Principal, now: datetime) -> None:
        answer = self._rechecks.latest(principal)
        if answer is None:
            return
        ending: dict[str, list[EndableSession]] = {}
        lost = False
        for requirement in self._requirements.get(principal, ()):
            match membership_status(answer, requirement.group, now, self._schedule.max_stale):
                case MembershipStatus.MEMBER:
                    continue
                case MembershipStatus.LOST:
                    reason = requirement.end_reason
                    lost = lost or not requirement.member.ending
                case MembershipStatus.UNKNOWN:
                    reason = "membership-unknown"
            if not requirement.member.ending:
                requirement.member.ending = True
                ending.setdefault(reason, []).append(requirement.member.session)
        if lost:
            self._spawn(self._store_denial(principal, answer, denied=True))
        for reason, sessions in ending.items():
            self._spawn(end_sessions(sessions, reason))

    # --- the directory -------------------------------------------------------------------------------------

    async def _query(self, principal: Principal) -> DirectoryAnswer:
        """Query the directory. Concurrent calls for one principal share a query."""
        return await self._queries(principal, lambda: self._look_up(principal))

    async def _look_up(self, principal: Principal) -> DirectoryAnswer:
        assert self._directory is not None
        async with self._query_slots:
            now = self._clock()
            try:
                answer = await self._directory.look_up(principal, self._groups, now)
            except DirectoryUnavailable as unavailable:
                fault = unavailable
            except Exception as unexpected:  # noqa: BLE001 - no failure of a look-up may stop the rechecks
                fault = DirectoryUnavailable(type(unexpected).__name__)
            else:
                self._failing_since = None
                self._dependency.works()
                self._unconfirmed.pop(principal, None)
                self._rechecks.record_answer(principal, answer)
                self._answers.record(principal, answer)
                return answer
        if self._failing_since is None:
            self._failing_since = now
        whom = f"{principal.key.oid} in tenant {principal.key.tid}"
        self._dependency.failed(f"membership of {whom} is not known: {fault}")
        raise fault


async def _no_actor() -> None:
    return None


def _resolved(identity: Identity, answer: DirectoryAnswer, actor: DirectoryAnswer | None) -> ResolvedIdentity:
    if answer.claimed:
        return ResolvedIdentity(identity, "claim", identity.issued_at, answer, actor)
    if answer.state is not PrincipalState.ENABLED:
        raise TokenRefused(f"principal-{answer.state}", f"the directory reports that the principal is {answer.state}")
    with_groups = replace(identity, groups=answer.groups, groups_known=True)
    return ResolvedIdentity(with_groups, "graph", answer.at, answer, actor)


def _opens(answer: DirectoryAnswer, identity: Identity, suffices: Callable[[Identity], bool]) -> bool:
    return answer.state is PrincipalState.ENABLED and suffices(replace(identity, groups=answer.groups))
