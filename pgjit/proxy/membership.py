"""Memberships while sessions live: asked at login, asked again at intervals, and ended when they are lost.

Asks the directory once for an identity, however many of its sessions there are. What the answers mean, and when the
next question is due, is decided in `identity/membership.py`.
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
from pgjit.single_flight import SingleFlightByKey

__all__ = ["Denials", "Memberships", "ResolvedIdentity", "Watched"]

_log = logging.getLogger("pgjit.membership")
_AT_ONCE = 16  # questions to the directory under way
_REPEATED = timedelta(seconds=5)
"""Who is refused and comes again this soon gets the same answer: logins do not make a flood of questions."""


@dataclass(frozen=True, slots=True)
class ResolvedIdentity:
    """An identity with the groups that count for it, and who said so when."""

    identity: Identity
    source: Literal["claim", "graph"]
    checked_at: datetime
    found: DirectoryAnswer | None = None  # None: nobody looks again
    actor: DirectoryAnswer | None = None  # of the app that acts for a user

    def evidence(self, policy: Policy) -> Evidence:
        """What opens `policy` to the identity."""
        if policy.group is None:
            role, issued_at = policy.identity.role, self.identity.issued_at
            return Evidence(group=None, role=role, source="claim", checked_at=issued_at)
        return Evidence(group=policy.group, role=None, source=self.source, checked_at=self.checked_at)


class Watched(Protocol):
    """A live session, as far as it matters here."""

    async def end(self, reason: str) -> None:
        """End it, and wait until its backend is gone."""


class Denials(Protocol):
    """Where denials outlive this process. Both raise ServerUnavailable."""

    async def keep_denial(self, principal: Principal, found: DirectoryAnswer, until: datetime) -> None: ...

    async def drop_denial(self, principal: Principal) -> None: ...


@dataclass(slots=True, eq=False)
class _Member:
    session: Watched
    told: bool = False


@dataclass(frozen=True, slots=True)
class _Seat:
    """What a session needs of one principal: membership in `group`, or where that is None that it is enabled."""

    member: _Member
    group: GroupId | None
    lost: str  # the reason of the end


_MOST_UNCONFIRMED = 100_000
"""Principals with good tokens that a directory says nothing about; more than that is an outage of all."""


class Memberships:
    """Without a directory, groups are those of the token and nobody looks again."""

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
        """`groups`: those that any policy is for; nothing else is asked about. `jitter` gives 0 to 1.

        `denials` keeps what the directory denies, `denied` is what an earlier process has kept so.
        """
        self._directory = None if source is GroupSource.CLAIM else directory
        self._source = source
        self._groups = frozenset(groups)
        self._schedule = schedule or RecheckSchedule()
        self._roll = MembershipRechecks(self._schedule)
        self._answers = DirectoryAnswerCache(self._schedule, clock())
        self._denials = denials
        self._denied: set[Principal] = set()  # those of whom a denial is kept
        for principal, found in denied:
            self._answers.note(principal, found)
            self._denied.add(principal)
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._seats: dict[Principal, list[_Seat]] = {}
        self._asking: SingleFlightByKey[Principal, DirectoryAnswer] = SingleFlightByKey(
            stopped=lambda: DirectoryUnavailable("pgjit is stopping")
        )
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failing_since: datetime | None = None  # of all look-ups, and of those about each principal
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
        await self._asking.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- login ---------------------------------------------------------------------------------------------

    async def resolve(self, identity: Identity, suffices: Callable[[Identity], bool]) -> ResolvedIdentity:
        """The identity with its groups. `suffices` tells whether they open what is asked for.

        Raises TokenRefused where the directory says that the principal, or the app that acts for it, is disabled or
        gone; ServerUnavailable where there is no answer that counts.
        """
        if self._directory is None:
            return ResolvedIdentity(identity, "claim", identity.issued_at)
        acting = Principal.acting_for(identity)
        found, actor = await asyncio.gather(
            self._subject(identity, suffices), _nobody() if acting is None else self._actor(acting, identity)
        )
        if actor is not None and actor.state is not PrincipalState.ENABLED:
            raise TokenRefused(
                f"acting-app-{actor.state}",
                f"the directory says that the app that acts for the user is {actor.state}",
            )
        return _standing(identity, found, actor)

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
            lambda found: _opens(found, identity, suffices),
        )

    def _actor(self, acting: Principal, identity: Identity) -> Coroutine[None, None, DirectoryAnswer]:
        claimed = DirectoryAnswer(at=self._clock(), state=PrincipalState.ENABLED, groups=frozenset(), claimed=True)
        return self._find(
            acting,
            identity.issued_at,
            claimed if self._source is GroupSource.CLAIM_THEN_GRAPH else None,
            lambda found: found.state is PrincipalState.ENABLED,
        )

    async def _find(
        self,
        principal: Principal,
        issued_at: datetime,
        claimed: DirectoryAnswer | None,
        suffices: Callable[[DirectoryAnswer], bool],
    ) -> DirectoryAnswer:
        """What is known of it, or is answered now. `claimed`: what a token says, where a token's word may do."""
        now = self._clock()
        word = TokenTrust.CONTRADICTED
        if claimed is not None and not self._long_down(principal, now):
            word = self._answers.word(principal, issued_at, now, suffices)
        if claimed is not None and word is TokenTrust.TRUSTED:
            return self._believed(principal, claimed)
        latest = self._answers.latest(principal)
        as_young = self._schedule.recheck if latest is not None and suffices(latest) else _REPEATED
        if latest is not None and now - latest.at < min(as_young, self._schedule.recheck):
            return latest
        try:
            found = await self._ask(principal)
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
        await self._keep(principal, found, denied=not suffices(found))
        return found

    async def _keep(self, principal: Principal, found: DirectoryAnswer, *, denied: bool) -> None:
        """INVARIANT: what the directory has denied outlives this process, until it says otherwise."""
        if self._denials is None or not (denied or principal in self._denied):
            return
        try:
            if denied:
                await self._denials.keep_denial(principal, found, self._answers.outlives(found))
                self._denied.add(principal)
            else:
                await self._denials.drop_denial(principal)
                self._denied.discard(principal)
        except ServerUnavailable as fault:
            _log.error("what the directory denies %s is not written down: %s", principal.key.oid, fault.detail)

    def _believed(self, principal: Principal, claimed: DirectoryAnswer) -> DirectoryAnswer:
        if len(self._unconfirmed) < _MOST_UNCONFIRMED:
            self._unconfirmed.setdefault(principal, claimed.at)  # until the directory says so itself
        return claimed

    def _long_down(self, principal: Principal, now: datetime) -> bool:
        """Whether a token's own word is not enough any more: it, or nobody's, was confirmed for too long."""
        since = min(filter(None, (self._failing_since, self._unconfirmed.get(principal))), default=None)
        return since is not None and now - since >= self._schedule.max_stale

    # --- sessions ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def watching(self, session: Watched, standing: ResolvedIdentity, group: GroupId | None) -> Iterator[None]:
        """Look again while the session lives. `group`: the policy's; None: it is for an app role."""
        with contextlib.ExitStack() as seats:
            member = _Member(session)
            if standing.found is not None:
                seat = _Seat(member, group, "membership-lost")
                seats.enter_context(self._seated(Principal.of(standing.identity), seat, standing.found))
            acting = Principal.acting_for(standing.identity)
            if standing.actor is not None and acting is not None:
                seat = _Seat(member, None, "acting-app-lost")
                seats.enter_context(self._seated(acting, seat, standing.actor))
            yield

    @contextlib.contextmanager
    def _seated(self, principal: Principal, seat: _Seat, found: DirectoryAnswer) -> Iterator[None]:
        self._roll.enter(principal, found, self._first(found))
        self._seats.setdefault(principal, []).append(seat)
        try:
            yield
        finally:
            self._roll.leave(principal)
            left = [each for each in self._seats.pop(principal) if each is not seat]
            if left:
                self._seats[principal] = left

    def _first(self, found: DirectoryAnswer) -> datetime:
        """A token's word is checked at once, Graph's own at some time within the interval: not all at one time."""
        recheck = self._schedule.recheck
        if found.claimed:
            return found.at + min(recheck / 4, timedelta(seconds=2)) * self._jitter()
        return found.at + recheck * (1 + self._jitter()) / 2

    async def _watch(self) -> None:
        tick = min(0.5, self._schedule.recheck / timedelta(seconds=10))
        while True:
            self.turn()
            await self._sleep(tick)

    def turn(self) -> None:
        """Ask about those who are due, and end what cannot be confirmed any more."""
        now = self._clock()
        for principal in self._roll.due(now):
            self._spawn(self._recheck(principal))
        for principal in list(self._seats):
            self._carry_out(principal, now)

    async def _recheck(self, principal: Principal) -> None:
        try:
            await self._ask(principal)
        except DirectoryUnavailable as unavailable:
            self._roll.failed(principal, self._clock(), unavailable.retry_after)
        self._carry_out(principal, self._clock())

    def _carry_out(self, principal: Principal, now: datetime) -> None:
        found = self._roll.latest(principal)
        if found is None:
            return
        for seat in self._seats.get(principal, ()):
            match membership_status(found, seat.group, now, self._schedule.max_stale):
                case MembershipStatus.MEMBER:
                    continue
                case MembershipStatus.LOST:
                    reason = seat.lost
                    if not seat.member.told:
                        self._spawn(self._keep(principal, found, denied=True))
                case MembershipStatus.UNKNOWN:
                    reason = "membership-unknown"
            if not seat.member.told:
                seat.member.told = True
                self._spawn(seat.member.session.end(reason))

    # --- the directory -------------------------------------------------------------------------------------

    async def _ask(self, principal: Principal) -> DirectoryAnswer:
        """What the directory answers now, with one look-up for all who need it."""
        return await self._asking(principal, lambda: self._look_up(principal))

    async def _look_up(self, principal: Principal) -> DirectoryAnswer:
        assert self._directory is not None
        async with self._places:
            now = self._clock()
            try:
                found = await self._directory.look_up(principal, self._groups, now)
            except DirectoryUnavailable as unavailable:
                fault = unavailable
            except Exception as unexpected:  # noqa: BLE001 - no fault of a look-up may end the looking
                fault = DirectoryUnavailable(type(unexpected).__name__)
            else:
                self._failing_since = None
                self._unconfirmed.pop(principal, None)
                self._roll.answered(principal, found)
                self._answers.note(principal, found)
                return found
        if self._failing_since is None:
            self._failing_since = now
        _log.warning("membership of %s in tenant %s is not known: %s", principal.key.oid, principal.key.tid, fault)
        raise fault


async def _nobody() -> None:
    return None


def _standing(identity: Identity, found: DirectoryAnswer, actor: DirectoryAnswer | None) -> ResolvedIdentity:
    if found.claimed:
        return ResolvedIdentity(identity, "claim", identity.issued_at, found, actor)
    if found.state is not PrincipalState.ENABLED:
        raise TokenRefused(f"principal-{found.state}", f"the directory says that the principal is {found.state}")
    known = replace(identity, groups=found.groups, groups_known=True)
    return ResolvedIdentity(known, "graph", found.at, found, actor)


def _opens(found: DirectoryAnswer, identity: Identity, suffices: Callable[[Identity], bool]) -> bool:
    return found.state is PrincipalState.ENABLED and suffices(replace(identity, groups=found.groups))
