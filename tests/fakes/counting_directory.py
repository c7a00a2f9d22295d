"""A directory that counts its queries, and memberships with a clock that a test moves."""

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
    "CountingDirectory",
    "RecordedSession",
    "identity",
    "in_group",
    "let_tasks_run",
    "memberships",
    "pass_time",
]

GROUP = GroupId("11111111-1111-4111-8111-111111111111")
OTHER = GroupId("22222222-2222-4222-8222-222222222222")
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RECHECK, MAX_STALE, HOUR = 60 * SECOND, 300 * SECOND, timedelta(hours=1)


@dataclass
class CountingDirectory:
    """A directory where every principal is in the group, except those that a test has removed."""

    now: datetime = NOW
    queries: Counter[str] = field(default_factory=Counter)
    groups_queried: set[frozenset[GroupId]] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    states: dict[str, PrincipalState] = field(default_factory=dict)
    down: bool = False
    broken: Exception | None = None
    retry_after: timedelta | None = None
    hold: asyncio.Event | None = None

    def clock(self) -> datetime:
        return self.now

    async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> DirectoryAnswer:
        self.queries[principal.key.oid] += 1
        self.groups_queried.add(frozenset(groups))
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
class RecordedSession:
    """A session that records when and why it was ended."""

    directory: CountingDirectory
    ended: list[tuple[str, datetime]] = field(default_factory=list)
    idle: bool = True

    def cut_off(self) -> None:
        """It has no client that sends."""

    async def end(self, reason: str, explanation: str | None = None) -> None:
        assert explanation is None
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
    directory: CountingDirectory,
    source: GroupSource = GroupSource.GRAPH,
    jitter: Callable[[], float] = lambda: 1.0,
    *,
    denials: Denials | None = None,
    denied: Iterable[tuple[Principal, DirectoryAnswer]] = (),
    begun: timedelta = HOUR,
) -> Memberships:
    """Memberships that began an hour ago: tokens issued since then are not distrusted for a restart."""
    directory.now -= begun
    opened = Memberships(
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
    return opened


async def let_tasks_run() -> None:
    """Let all tasks run that do not wait for the clock."""
    for _ in range(20):
        await asyncio.sleep(0)


async def pass_time(watch: Memberships, directory: CountingDirectory, seconds: float) -> None:
    """Advance the clock second by second, as the loop would."""
    for _ in range(int(seconds)):
        directory.now += SECOND
        watch.tick()
        await let_tasks_run()
