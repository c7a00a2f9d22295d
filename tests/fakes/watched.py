"""Memberships that are looked after by a clock that a test moves, and a directory that counts who is asked for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pgjit.identity.directory import DirectoryAnswer, DirectoryUnavailable, Principal, PrincipalState
from pgjit.identity.identity import GroupId, Identity, IdentityKey, IdentityKind
from pgjit.identity.membership_rechecks import GroupSource, RecheckSchedule
from pgjit.proxy.membership import Denials, Memberships
from tests.fakes.both_ends import CONTEXT

__all__ = [
    "GROUP",
    "HOUR",
    "MAX_STALE",
    "NOW",
    "OTHER",
    "RECHECK",
    "SECOND",
    "Counting",
    "Live",
    "identity",
    "in_group",
    "memberships",
    "pass_time",
    "settled",
]

GROUP = GroupId("11111111-1111-4111-8111-111111111111")
OTHER = GroupId("22222222-2222-4222-8222-222222222222")
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RECHECK, MAX_STALE, HOUR = 60 * SECOND, 300 * SECOND, timedelta(hours=1)


@dataclass
class Counting:
    """A directory where everybody is in the group, but for those that a test has taken out."""

    now: datetime = NOW
    asked: Counter[str] = field(default_factory=Counter)
    groups_asked: set[frozenset[GroupId]] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    states: dict[str, PrincipalState] = field(default_factory=dict)
    down: bool = False
    broken: Exception | None = None
    retry_after: timedelta | None = None
    hold: asyncio.Event | None = None

    def clock(self) -> datetime:
        return self.now

    async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> DirectoryAnswer:
        self.asked[principal.key.oid] += 1
        self.groups_asked.add(frozenset(groups))
        if self.hold is not None:
            await self.hold.wait()
        if self.broken is not None:
            raise self.broken
        if self.down:
            raise DirectoryUnavailable("down", retry_after=self.retry_after)
        oid = principal.key.oid
        member = frozenset() if oid in self.removed else frozenset({GROUP})
        return DirectoryAnswer(at=now, state=self.states.get(oid, PrincipalState.ENABLED), groups=member)

    async def close(self) -> None: ...


@dataclass(eq=False)
class Live:
    """A session: all that is seen of it here is why it ended, and when."""

    directory: Counting
    ended: list[tuple[str, datetime]] = field(default_factory=list)

    async def end(self, reason: str) -> None:
        self.ended.append((reason, self.directory.now))


def identity(
    oid: str = "ann", *groups: GroupId, kind: IdentityKind = IdentityKind.APP, app: str | None = None
) -> Identity:
    return replace(
        CONTEXT.identity,
        key=IdentityKey("t", oid),
        kind=kind,
        app_id=app,
        groups=frozenset(groups),
        issued_at=NOW - SECOND,
    )


def in_group(known: Identity) -> bool:
    return GROUP in known.groups


def memberships(
    directory: Counting,
    source: GroupSource = GroupSource.GRAPH,
    jitter: Callable[[], float] = lambda: 1.0,
    *,
    denials: Denials | None = None,
    denied: Iterable[tuple[Principal, DirectoryAnswer]] = (),
    begun: timedelta = HOUR,
) -> Memberships:
    """Begun an hour ago: a token that is younger is not doubted for that."""
    directory.now -= begun
    made = Memberships(
        directory,
        source=source,
        groups=[GROUP, OTHER],
        schedule=RecheckSchedule(recheck=RECHECK, max_stale=MAX_STALE),
        clock=directory.clock,
        jitter=jitter,
        denials=denials,
        denied=denied,
    )
    directory.now += begun
    return made


async def settled() -> None:
    """All that can go on without the clock has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def pass_time(watch: Memberships, directory: Counting, seconds: float) -> None:
    """Second by second, as the loop would."""
    for _ in range(int(seconds)):
        directory.now += SECOND
        watch.tick()
        await settled()
