"""Memberships while sessions live, by a clock that a test moves and a directory that counts."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.identity.directory import DirectoryUnavailable, Found, Principal, State
from pgjit.identity.identity import GroupId, Identity, IdentityKey, IdentityKind
from pgjit.identity.membership import GroupSource, Schedule
from pgjit.proxy.membership import Memberships, Standing
from tests.fakes.talk import CONTEXT

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
    states: dict[str, State] = field(default_factory=dict)
    down: bool = False
    broken: Exception | None = None
    retry_after: timedelta | None = None
    hold: asyncio.Event | None = None

    def clock(self) -> datetime:
        return self.now

    async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> Found:
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
        return Found(at=now, state=self.states.get(oid, State.ENABLED), groups=member)

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


@pytest.fixture
def directory() -> Counting:
    return Counting()


def memberships(
    directory: Counting, source: GroupSource = GroupSource.GRAPH, jitter: Callable[[], float] = lambda: 1.0
) -> Memberships:
    """Begun an hour ago: a token that is younger is not doubted for that."""
    directory.now -= HOUR
    made = Memberships(
        directory,
        source=source,
        groups=[GROUP, OTHER],
        schedule=Schedule(recheck=RECHECK, max_stale=MAX_STALE),
        clock=directory.clock,
        jitter=jitter,
    )
    directory.now += HOUR
    return made


@pytest.fixture
async def watch(directory: Counting) -> AsyncIterator[Memberships]:
    made = memberships(directory)
    yield made
    await made.close()


@pytest.fixture
async def after_claim(directory: Counting) -> AsyncIterator[Memberships]:
    made = memberships(directory, GroupSource.CLAIM_THEN_GRAPH)
    yield made
    await made.close()


async def settled() -> None:
    """All that can go on without the clock has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def pass_time(watch: Memberships, directory: Counting, seconds: float) -> None:
    """Second by second, as the loop would."""
    for _ in range(int(seconds)):
        directory.now += SECOND
        watch.turn()
        await settled()


# --- login ---------------------------------------------------------------------------------------------------


async def test_without_a_directory_the_tokens_groups_count_and_nobody_looks_again() -> None:
    watch = Memberships()
    ann = identity("ann", GROUP)
    standing = await watch.resolve(ann, in_group)
    assert standing == Standing(ann, "claim", ann.issued_at)
    with watch.watching(Live(Counting()), standing, GROUP):
        watch.turn()
    await watch.close()


async def test_the_directorys_word_takes_the_place_of_the_tokens(watch: Memberships, directory: Counting) -> None:
    standing = await watch.resolve(identity("ann", OTHER), in_group)
    assert standing.identity.groups == {GROUP}
    assert (standing.source, standing.checked_at) == ("graph", NOW)
    assert directory.groups_asked == {frozenset({GROUP, OTHER})}


@pytest.mark.parametrize("state", [State.DISABLED, State.DELETED])
async def test_a_principal_that_is_disabled_or_gone_does_not_get_in(
    watch: Memberships, directory: Counting, state: State
) -> None:
    directory.states["ann"] = state
    with pytest.raises(TokenRefused) as refused:
        await watch.resolve(identity(), in_group)
    assert refused.value.reason == f"principal-{state}"


async def test_a_user_is_asked_for_as_a_user(watch: Memberships, directory: Counting) -> None:
    asked: list[bool] = []
    look_up = directory.look_up

    class Noting(Counting):
        async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> Found:
            asked.append(principal.is_user)
            return await look_up(principal, groups, now)

    noting = memberships(Noting())
    for kind in IdentityKind:
        await noting.resolve(identity(kind.value, kind=kind), in_group)
    assert asked == [False, True, False, True]


async def test_many_logins_of_one_identity_at_once_are_one_question(watch: Memberships, directory: Counting) -> None:
    standings = await asyncio.gather(*(watch.resolve(identity(), in_group) for _ in range(50)))
    assert directory.asked == {"ann": 1}
    assert {standing.checked_at for standing in standings} == {NOW}


async def test_one_who_stops_waiting_does_not_take_the_answer_from_the_others(
    watch: Memberships, directory: Counting
) -> None:
    directory.hold = asyncio.Event()
    impatient, patient = (asyncio.create_task(watch.resolve(identity(), in_group)) for _ in range(2))
    await settled()
    impatient.cancel()
    directory.hold.set()
    assert (await patient).source == "graph"
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_an_answer_counts_for_logins_within_the_interval(watch: Memberships, directory: Counting) -> None:
    await watch.resolve(identity(), in_group)
    directory.now += RECHECK - SECOND
    await watch.resolve(identity(), in_group)
    assert directory.asked["ann"] == 1
    directory.now += SECOND
    await watch.resolve(identity(), in_group)
    assert directory.asked["ann"] == 2


async def test_who_was_added_a_moment_ago_gets_in_at_the_next_try(watch: Memberships, directory: Counting) -> None:
    directory.removed.add("ann")
    assert not (await watch.resolve(identity(), in_group)).identity.groups
    directory.removed.clear()
    directory.now += 5 * SECOND
    assert (await watch.resolve(identity(), in_group)).identity.groups == {GROUP}


async def test_who_is_refused_and_tries_on_makes_no_flood_of_questions(
    watch: Memberships, directory: Counting
) -> None:
    directory.removed.add("ann")
    for _ in range(100):
        await watch.resolve(identity(), in_group)
        directory.now += SECOND / 10
    assert directory.asked["ann"] == 2


async def test_while_the_directory_is_down_the_last_answer_counts_for_so_long(
    watch: Memberships, directory: Counting
) -> None:
    await watch.resolve(identity(), in_group)
    directory.down = True
    directory.now += MAX_STALE - SECOND
    assert (await watch.resolve(identity(), in_group)).checked_at == NOW
    directory.now += SECOND
    with pytest.raises(ServerUnavailable) as unavailable:
        await watch.resolve(identity(), in_group)
    assert (unavailable.value.sqlstate, unavailable.value.reference) == ("57P03", "directory-unavailable")
    with pytest.raises(ServerUnavailable):
        await watch.resolve(identity("stranger"), in_group)


async def test_a_fault_of_the_look_up_that_nobody_thought_of_is_no_answer(
    watch: Memberships, directory: Counting
) -> None:
    directory.broken = RuntimeError("broken")
    with pytest.raises(ServerUnavailable):
        await watch.resolve(identity(), in_group)


# --- the token first -----------------------------------------------------------------------------------------


async def test_the_tokens_word_lets_in_and_the_directory_is_asked_at_once(
    after_claim: Memberships, directory: Counting
) -> None:
    standing = await after_claim.resolve(identity("ann", GROUP), in_group)
    assert (standing.source, standing.checked_at) == ("claim", NOW - SECOND)
    assert not directory.asked
    directory.removed.add("ann")
    live = Live(directory)
    with after_claim.watching(live, standing, GROUP):
        await pass_time(after_claim, directory, 2)
    assert live.ended == [("membership-lost", NOW + 2 * SECOND)]


async def test_a_token_without_its_groups_is_looked_up(after_claim: Memberships, directory: Counting) -> None:
    standing = await after_claim.resolve(replace(identity(), groups_known=False), in_group)
    assert standing.identity.groups == {GROUP}
    assert (standing.source, standing.identity.groups_known) == ("graph", True)


async def test_a_token_does_not_bring_back_what_the_directory_has_denied(
    after_claim: Memberships, directory: Counting
) -> None:
    directory.removed.add("ann")
    ann = identity("ann", GROUP)
    standing = await after_claim.resolve(ann, in_group)
    live = Live(directory)
    with after_claim.watching(live, standing, GROUP):
        await pass_time(after_claim, directory, 3)
    assert live.ended
    for _ in range(200):
        directory.now += SECOND
        assert not (await after_claim.resolve(ann, in_group)).identity.groups
    directory.removed.clear()
    directory.now += 5 * SECOND
    assert (await after_claim.resolve(ann, in_group)).identity.groups == {GROUP}


async def test_one_that_comes_and_goes_makes_no_more_questions(after_claim: Memberships, directory: Counting) -> None:
    ann = identity("ann", GROUP)
    for _ in range(60):
        standing = await after_claim.resolve(ann, in_group)
        with after_claim.watching(Live(directory), standing, GROUP):
            await pass_time(after_claim, directory, 3)
    assert 3 <= directory.asked["ann"] <= 4


async def test_tokens_alone_do_not_do_while_the_directory_is_down_for_long(
    after_claim: Memberships, directory: Counting
) -> None:
    directory.down = True
    ann = identity("ann", GROUP)
    live = Live(directory)
    with after_claim.watching(live, await after_claim.resolve(ann, in_group), GROUP):
        await pass_time(after_claim, directory, 310)
    assert live.ended == [("membership-unknown", NOW + MAX_STALE)]
    with pytest.raises(ServerUnavailable):
        await after_claim.resolve(ann, in_group)
    directory.down = False
    assert (await after_claim.resolve(ann, in_group)).source == "graph"


# --- while sessions live -------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["removed", "disabled", "deleted"])
async def test_who_is_no_member_any_more_is_ended_within_the_interval(
    watch: Memberships, directory: Counting, what: str
) -> None:
    ann, bob = Live(directory), Live(directory)
    with ExitStack() as stack:
        for name, live in (("ann", ann), ("bob", bob)):
            stack.enter_context(watch.watching(live, await watch.resolve(identity(name), in_group), GROUP))
        await pass_time(watch, directory, 100)
        assert not ann.ended
        removed_at = directory.now
        if what == "removed":
            directory.removed.add("ann")
        else:
            directory.states["ann"] = State(what)
        await pass_time(watch, directory, 200)
    assert not bob.ended
    [(reason, at)] = ann.ended
    assert reason == "membership-lost"
    assert at - removed_at <= RECHECK + 2 * SECOND


async def test_a_session_by_an_app_role_ends_with_its_principal_and_not_with_a_group(
    watch: Memberships, directory: Counting
) -> None:
    directory.removed.add("ann")
    live = Live(directory)
    with watch.watching(live, await watch.resolve(identity(), lambda _: True), None):
        await pass_time(watch, directory, 130)
        assert not live.ended
        directory.states["ann"] = State.DISABLED
        await pass_time(watch, directory, 62)
    assert [reason for reason, _ in live.ended] == ["membership-lost"]


async def test_sessions_outlive_an_outage_that_is_shorter_than_the_bound(
    watch: Memberships, directory: Counting
) -> None:
    live = Live(directory)
    with watch.watching(live, await watch.resolve(identity(), in_group), GROUP):
        await pass_time(watch, directory, 60)
        directory.down = True
        await pass_time(watch, directory, 290)
        assert not live.ended
        directory.down = False
        await pass_time(watch, directory, 400)
        assert not live.ended


async def test_an_outage_that_is_longer_ends_them(watch: Memberships, directory: Counting) -> None:
    live = Live(directory)
    with watch.watching(live, await watch.resolve(identity(), in_group), GROUP):
        await pass_time(watch, directory, 60)
        directory.down = True
        last = directory.now
        await pass_time(watch, directory, 310)
    [(reason, at)] = live.ended
    assert reason == "membership-unknown"
    assert at - last == MAX_STALE


async def test_a_pause_that_the_directory_asks_for_is_kept(watch: Memberships, directory: Counting) -> None:
    with watch.watching(Live(directory), await watch.resolve(identity(), in_group), GROUP):
        directory.down, directory.retry_after = True, 120 * SECOND
        await pass_time(watch, directory, 61)
        asked = directory.asked["ann"]
        await pass_time(watch, directory, 118)
        assert directory.asked["ann"] == asked
        await pass_time(watch, directory, 2)
        assert directory.asked["ann"] == asked + 1


async def test_all_sessions_of_one_who_is_removed_end_and_what_follows_is_watched_again(
    watch: Memberships, directory: Counting
) -> None:
    lives = [Live(directory) for _ in range(5)]
    with ExitStack() as stack:
        for live in lives:
            stack.enter_context(watch.watching(live, await watch.resolve(identity(), in_group), GROUP))
        directory.removed.add("ann")
        await pass_time(watch, directory, 70)
        assert [reason for live in lives for reason, _ in live.ended] == ["membership-lost"] * 5
        directory.removed.clear()
        again = Live(directory)
        stack.enter_context(watch.watching(again, await watch.resolve(identity(), in_group), GROUP))
        await pass_time(watch, directory, 70)
        assert not again.ended
    assert all(len(live.ended) == 1 for live in lives)


async def test_a_session_is_told_once(watch: Memberships, directory: Counting) -> None:
    live = Live(directory)
    with watch.watching(live, await watch.resolve(identity(), in_group), GROUP):
        directory.removed.add("ann")
        await pass_time(watch, directory, 300)
    assert len(live.ended) == 1


@pytest.mark.parametrize("source", [GroupSource.GRAPH, GroupSource.CLAIM_THEN_GRAPH])
async def test_a_thousand_sessions_of_fifty_identities_are_fifty_questions_an_interval(
    directory: Counting, source: GroupSource
) -> None:
    spread = itertools.cycle(number / 50 for number in range(50))
    watch = memberships(directory, source, jitter=lambda: next(spread))
    with ExitStack() as stack:
        for number in range(1000):
            ann = identity(f"agent-{number % 50}", GROUP)
            stack.enter_context(watch.watching(Live(directory), await watch.resolve(ann, in_group), GROUP))
        assert directory.asked.total() == (50 if source is GroupSource.GRAPH else 0)
        await pass_time(watch, directory, 60)  # the first, at its own time for each
        for _ in range(5):
            directory.asked.clear()
            await pass_time(watch, directory, 60)
            assert directory.asked.total() == 50
            assert set(directory.asked.values()) == {1}
    await watch.close()


# --- the app that acts for a user -----------------------------------------------------------------------------

PEOPLE = [IdentityKind.USER, IdentityKind.AGENT_USER]


@pytest.mark.parametrize("kind", PEOPLE)
@pytest.mark.parametrize("state", [State.DISABLED, State.DELETED])
@pytest.mark.parametrize("source", [GroupSource.GRAPH, GroupSource.CLAIM_THEN_GRAPH])
async def test_an_app_that_is_disabled_or_gone_ends_the_sessions_of_those_for_whom_it_acts(
    directory: Counting, kind: IdentityKind, state: State, source: GroupSource
) -> None:
    watch = memberships(directory, source)
    through = Live(directory), Live(directory)
    other = Live(directory)
    with ExitStack() as stack:
        for live, who in zip((*through, other), (("ann", "app"), ("bob", "app"), ("ann", "tool")), strict=True):
            known = identity(who[0], GROUP, kind=kind, app=who[1])
            stack.enter_context(watch.watching(live, await watch.resolve(known, in_group), GROUP))
        await pass_time(watch, directory, 100)
        directory.states["app"], disabled_at = state, directory.now
        await pass_time(watch, directory, 200)
        assert not other.ended
        for live in through:
            [(reason, at)] = live.ended
            assert reason == "acting-app-lost"
            assert at - disabled_at <= RECHECK + 2 * SECOND
        with pytest.raises(TokenRefused) as refused:
            await watch.resolve(identity("ann", GROUP, kind=kind, app="app"), in_group)
        assert refused.value.reason == f"acting-app-{state}"
    await watch.close()


async def test_an_app_that_acts_for_itself_is_asked_about_once(watch: Memberships, directory: Counting) -> None:
    for kind in (IdentityKind.APP, IdentityKind.AGENT):
        await watch.resolve(identity(kind.value, kind=kind, app="app"), in_group)
    assert directory.asked == {"app": 1, "agent": 1}  # their object ids


async def test_an_app_that_nobody_can_confirm_ends_the_sessions_that_it_acts_in() -> None:
    class NotApps(Counting):
        async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> Found:
            if principal.acting and "app" in self.removed:
                raise DirectoryUnavailable("Graph answered 403")
            return await super().look_up(principal, groups, now)

    halting = NotApps()
    watch = memberships(halting)
    ann = identity("ann", kind=IdentityKind.USER, app="app")
    live = Live(halting)
    with watch.watching(live, await watch.resolve(ann, in_group), GROUP):
        halting.removed.add("app")
        await pass_time(watch, halting, 310)
    assert [reason for reason, _ in live.ended] == ["membership-unknown"]
    with pytest.raises(ServerUnavailable):
        await watch.resolve(ann, in_group)
    await watch.close()


async def test_whoever_loses_both_at_once_is_told_once(watch: Memberships, directory: Counting) -> None:
    live = Live(directory)
    ann = identity("ann", kind=IdentityKind.USER, app="app")
    with watch.watching(live, await watch.resolve(ann, in_group), GROUP):
        directory.states |= {"app": State.DISABLED, "ann": State.DISABLED}
        await pass_time(watch, directory, 300)
    assert len(live.ended) == 1


async def test_a_thousand_sessions_through_one_app_are_one_question_more_an_interval(directory: Counting) -> None:
    spread = itertools.cycle(number / 50 for number in range(50))
    watch = memberships(directory, jitter=lambda: next(spread))
    with ExitStack() as stack:
        for number in range(1000):
            ann = identity(f"user-{number % 50}", kind=IdentityKind.USER, app="app")
            stack.enter_context(watch.watching(Live(directory), await watch.resolve(ann, in_group), GROUP))
        await pass_time(watch, directory, 60)
        for _ in range(3):
            directory.asked.clear()
            await pass_time(watch, directory, 60)
            assert directory.asked.total() == 51
            assert directory.asked["app"] == 1
    await watch.close()


# --- a no that is remembered ----------------------------------------------------------------------------------


async def test_a_token_from_before_a_no_is_never_believed_by_itself_again(
    after_claim: Memberships, directory: Counting
) -> None:
    ann = identity("ann", GROUP)
    live = Live(directory)
    with after_claim.watching(live, await after_claim.resolve(ann, in_group), GROUP):
        directory.removed.add("ann")
        await pass_time(after_claim, directory, 3)
    assert live.ended
    for _ in range(24 * 60):  # as long as such a token can live
        await pass_time(after_claim, directory, 1)
        directory.now += 59 * SECOND
        standing = await after_claim.resolve(ann, in_group)
        assert standing.source == "graph"
        assert not standing.identity.groups
    directory.down = True
    directory.now += MAX_STALE
    with pytest.raises(ServerUnavailable):
        await after_claim.resolve(ann, in_group)


async def test_who_is_removed_gets_no_row_of_short_sessions_by_its_token(
    after_claim: Memberships, directory: Counting
) -> None:
    """Each is over before its membership would be looked up; the look comes all the same."""
    directory.removed.add("ann")
    ann = identity("ann", GROUP)
    inside = 0
    for _ in range(20):
        standing = await after_claim.resolve(ann, in_group)
        if in_group(standing.identity):
            inside += 1
            with after_claim.watching(Live(directory), standing, GROUP):
                await settled()
        await pass_time(after_claim, directory, 1)
    assert inside <= 2
    assert directory.asked["ann"] <= 5


async def test_a_token_from_after_a_no_is_believed_again_when_that_is_old(
    after_claim: Memberships, directory: Counting
) -> None:
    directory.removed.add("ann")
    await after_claim.resolve(replace(identity("ann"), groups_known=False), in_group)
    fresh = replace(identity("ann", GROUP), issued_at=NOW + 2 * RECHECK)
    directory.now += MAX_STALE - SECOND
    assert (await after_claim.resolve(fresh, in_group)).source == "graph"
    directory.removed.clear()
    directory.now += MAX_STALE
    newer = replace(fresh, issued_at=directory.now)
    assert (await after_claim.resolve(newer, in_group)).source == "claim"


async def test_a_token_from_before_the_start_is_looked_up_first_and_believed_only_without_an_answer(
    after_claim: Memberships, directory: Counting
) -> None:
    old = replace(identity("ann", GROUP), issued_at=NOW - HOUR - SECOND)
    directory.removed.add("ann")
    assert not (await after_claim.resolve(old, in_group)).identity.groups
    directory.down = True
    bob = replace(old, key=IdentityKey("t", "bob"))
    assert (await after_claim.resolve(bob, in_group)).source == "claim"
    directory.now += MAX_STALE
    with pytest.raises(ServerUnavailable):
        await after_claim.resolve(bob, in_group)


async def test_the_loop_itself_asks_and_ends(directory: Counting) -> None:
    """With the real loop: an interval of a second, and nobody calling `turn`."""
    watch = Memberships(
        directory,
        source=GroupSource.GRAPH,
        groups=[GROUP],
        schedule=Schedule(recheck=SECOND, max_stale=5 * SECOND),
    )
    watch.start()
    ended = asyncio.Event()

    class Ending(Live):
        async def end(self, reason: str) -> None:
            await super().end(reason)
            ended.set()

    live = Ending(directory)
    with watch.watching(live, await watch.resolve(identity(), in_group), GROUP):
        directory.removed.add("ann")
        await asyncio.wait_for(ended.wait(), 3)
    assert [reason for reason, _ in live.ended] == ["membership-lost"]
    await watch.close()
