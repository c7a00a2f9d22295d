"""Memberships while sessions live, with a clock that a test moves and a directory that counts."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import ExitStack

import pytest

from pgjit.identity.directory import PrincipalState
from pgjit.identity.membership_rechecks import GroupSource, RecheckSchedule
from pgjit.proxy.membership import Memberships
from tests.fakes.counting_directory import (
    GROUP,
    MAX_STALE,
    RECHECK,
    SECOND,
    CountingDirectory,
    RecordedSession,
    identity,
    in_group,
    memberships,
    pass_time,
)


@pytest.mark.parametrize("what", ["removed", "disabled", "deleted"])
async def test_a_session_without_membership_ends_within_the_interval(
    watch: Memberships, directory: CountingDirectory, what: str
) -> None:
    ann, bob = RecordedSession(directory), RecordedSession(directory)
    with ExitStack() as stack:
        for name, live in (("ann", ann), ("bob", bob)):
            stack.enter_context(watch.watching(live, await watch.resolve(identity(name), in_group), GROUP))
        await pass_time(watch, directory, 100)
        assert not ann.ended
        removed_at = directory.now
        if what == "removed":
            directory.removed.add("ann")
        else:
            directory.states["ann"] = PrincipalState(what)
        await pass_time(watch, directory, 200)
    assert not bob.ended
    [(reason, at)] = ann.ended
    assert reason == "membership-lost"
    assert at - removed_at <= RECHECK + 2 * SECOND


async def test_a_session_by_an_app_role_ends_with_its_principal_and_not_with_a_group(
    watch: Memberships, directory: CountingDirectory
) -> None:
    directory.removed.add("ann")
    live = RecordedSession(directory)
    with watch.watching(live, await watch.resolve(identity(), lambda _: True), None):
        await pass_time(watch, directory, 130)
        assert not live.ended
        directory.states["ann"] = PrincipalState.DISABLED
        await pass_time(watch, directory, 62)
    assert [reason for reason, _ in live.ended] == ["membership-lost"]


async def test_sessions_outlive_an_outage_that_is_shorter_than_the_bound(
    watch: Memberships, directory: CountingDirectory
) -> None:
    live = RecordedSession(directory)
    with watch.watching(live, await watch.resolve(identity(), in_group), GROUP):
        await pass_time(watch, directory, 60)
        directory.down = True
        await pass_time(watch, directory, 290)
        assert not live.ended
        directory.down = False
        await pass_time(watch, directory, 400)
        assert not live.ended


async def test_an_outage_that_is_longer_ends_them(watch: Memberships, directory: CountingDirectory) -> None:
    live = RecordedSession(directory)
    with watch.watching(live, await watch.resolve(identity(), in_group), GROUP):
        await pass_time(watch, directory, 60)
        directory.down = True
        last = directory.now
        await pass_time(watch, directory, 310)
    [(reason, at)] = live.ended
    assert reason == "membership-unknown"
    assert at - last == MAX_STALE


async def test_a_pause_that_the_directory_asks_for_is_kept(watch: Memberships, directory: CountingDirectory) -> None:
    with watch.watching(RecordedSession(directory), await watch.resolve(identity(), in_group), GROUP):
        directory.down, directory.retry_after = True, 120 * SECOND
        await pass_time(watch, directory, 61)
        asked = directory.queries["ann"]
        await pass_time(watch, directory, 118)
        assert directory.queries["ann"] == asked
        await pass_time(watch, directory, 2)
        assert directory.queries["ann"] == asked + 1


async def test_all_sessions_of_a_removed_member_end_and_later_ones_are_rechecked(
    watch: Memberships, directory: CountingDirectory
) -> None:
    lives = [RecordedSession(directory) for _ in range(5)]
    with ExitStack() as stack:
        for live in lives:
            stack.enter_context(watch.watching(live, await watch.resolve(identity(), in_group), GROUP))
        directory.removed.add("ann")
        await pass_time(watch, directory, 70)
        assert [reason for live in lives for reason, _ in live.ended] == ["membership-lost"] * 5
        directory.removed.clear()
        again = RecordedSession(directory)
        stack.enter_context(watch.watching(again, await watch.resolve(identity(), in_group), GROUP))
        await pass_time(watch, directory, 70)
        assert not again.ended
    assert all(len(live.ended) == 1 for live in lives)


async def test_a_session_is_ended_once(watch: Memberships, directory: CountingDirectory) -> None:
    live = RecordedSession(directory)
    with watch.watching(live, await watch.resolve(identity(), in_group), GROUP):
        directory.removed.add("ann")
        await pass_time(watch, directory, 300)
    assert len(live.ended) == 1


@pytest.mark.parametrize("source", [GroupSource.GRAPH, GroupSource.CLAIM_THEN_GRAPH])
async def test_a_thousand_sessions_of_fifty_identities_are_fifty_questions_an_interval(
    directory: CountingDirectory, source: GroupSource
) -> None:
    spread = itertools.cycle(number / 50 for number in range(50))
    watch = memberships(directory, source, jitter=lambda: next(spread))
    with ExitStack() as stack:
        for number in range(1000):
            ann = identity(f"agent-{number % 50}", GROUP)
            stack.enter_context(watch.watching(RecordedSession(directory), await watch.resolve(ann, in_group), GROUP))
        assert directory.queries.total() == (50 if source is GroupSource.GRAPH else 0)
        await pass_time(watch, directory, 60)  # the first, at its own time for each
        for _ in range(5):
            directory.queries.clear()
            await pass_time(watch, directory, 60)
            assert directory.queries.total() == 50
            assert set(directory.queries.values()) == {1}
    await watch.close()


async def test_the_loop_itself_asks_and_ends(directory: CountingDirectory) -> None:
    """With the real loop: an interval of a second, without calls of `tick`."""
    watch = Memberships(
        directory,
        source=GroupSource.GRAPH,
        groups=[GROUP],
        schedule=RecheckSchedule(recheck=SECOND, max_stale=5 * SECOND),
    )
    watch.start()
    ended = asyncio.Event()

    class Ending(RecordedSession):
        async def end(self, reason: str, explanation: str | None = None) -> None:
            await super().end(reason, explanation)
            ended.set()

    live = Ending(directory)
    with watch.watching(live, await watch.resolve(identity(), in_group), GROUP):
        directory.removed.add("ann")
        await asyncio.wait_for(ended.wait(), 3)
    assert [reason for reason, _ in live.ended] == ["membership-lost"]
    await watch.close()
