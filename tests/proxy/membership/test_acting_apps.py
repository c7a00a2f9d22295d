"""The app that acts for a user is looked up together with the user."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime

import pytest

from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.identity.directory import DirectoryAnswer, DirectoryUnavailable, Principal, PrincipalState
from pgjit.identity.identity import GroupId, IdentityKind
from pgjit.identity.membership_rechecks import GroupSource
from pgjit.proxy.membership import Memberships
from tests.fakes.counting_directory import (
    GROUP,
    RECHECK,
    SECOND,
    CountingDirectory,
    RecordedSession,
    identity,
    in_group,
    memberships,
    pass_time,
)

PEOPLE = [IdentityKind.USER, IdentityKind.AGENT_USER]


@pytest.mark.parametrize("kind", PEOPLE)
@pytest.mark.parametrize("state", [PrincipalState.DISABLED, PrincipalState.DELETED])
@pytest.mark.parametrize("source", [GroupSource.GRAPH, GroupSource.CLAIM_THEN_GRAPH])
async def test_an_app_that_is_disabled_or_gone_ends_the_sessions_of_those_for_whom_it_acts(
    directory: CountingDirectory, kind: IdentityKind, state: PrincipalState, source: GroupSource
) -> None:
    watch = memberships(directory, source)
    through = RecordedSession(directory), RecordedSession(directory)
    other = RecordedSession(directory)
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


async def test_an_app_that_acts_for_itself_is_looked_up_once(
    watch: Memberships, directory: CountingDirectory
) -> None:
    for kind in (IdentityKind.APP, IdentityKind.AGENT):
        await watch.resolve(identity(kind.value, kind=kind, app="app"), in_group)
    assert directory.queries == {"app": 1, "agent": 1}  # their object ids


async def test_an_app_that_nobody_can_confirm_ends_the_sessions_that_it_acts_in() -> None:
    class NotApps(CountingDirectory):
        async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> DirectoryAnswer:
            if principal.acting and "app" in self.removed:
                raise DirectoryUnavailable("Graph answered 403")
            return await super().look_up(principal, groups, now)

    halting = NotApps()
    watch = memberships(halting)
    ann = identity("ann", kind=IdentityKind.USER, app="app")
    live = RecordedSession(halting)
    with watch.watching(live, await watch.resolve(ann, in_group), GROUP):
        halting.removed.add("app")
        await pass_time(watch, halting, 310)
    assert [reason for reason, _ in live.ended] == ["membership-unknown"]
    with pytest.raises(ServerUnavailable):
        await watch.resolve(ann, in_group)
    await watch.close()


async def test_a_session_that_loses_both_at_once_is_ended_once(
    watch: Memberships, directory: CountingDirectory
) -> None:
    live = RecordedSession(directory)
    ann = identity("ann", kind=IdentityKind.USER, app="app")
    with watch.watching(live, await watch.resolve(ann, in_group), GROUP):
        directory.states |= {"app": PrincipalState.DISABLED, "ann": PrincipalState.DISABLED}
        await pass_time(watch, directory, 300)
    assert len(live.ended) == 1


async def test_a_thousand_sessions_through_one_app_are_one_question_more_an_interval(
    directory: CountingDirectory,
) -> None:
    spread = itertools.cycle(number / 50 for number in range(50))
    watch = memberships(directory, jitter=lambda: next(spread))
    with ExitStack() as stack:
        for number in range(1000):
            ann = identity(f"user-{number % 50}", kind=IdentityKind.USER, app="app")
            stack.enter_context(watch.watching(RecordedSession(directory), await watch.resolve(ann, in_group), GROUP))
        await pass_time(watch, directory, 60)
        for _ in range(3):
            directory.queries.clear()
            await pass_time(watch, directory, 60)
            assert directory.queries.total() == 51
            assert directory.queries["app"] == 1
    await watch.close()
