"""Groups at login: from the directory, or from the token until the directory has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import pytest

from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.identity.directory import DirectoryAnswer, Principal, PrincipalState
from pgjit.identity.identity import GroupId, IdentityKind
from pgjit.proxy.membership import Memberships, ResolvedIdentity
from tests.fakes.counting_directory import (
    GROUP,
    MAX_STALE,
    NOW,
    OTHER,
    RECHECK,
    SECOND,
    CountingDirectory,
    RecordedSession,
    identity,
    in_group,
    let_tasks_run,
    memberships,
    pass_time,
)

# --- login ---------------------------------------------------------------------------------------------------


async def test_without_a_directory_the_tokens_groups_count_and_nobody_looks_again() -> None:
    watch = Memberships()
    ann = identity("ann", GROUP)
    resolved = await watch.resolve(ann, in_group)
    assert resolved == ResolvedIdentity(ann, "claim", ann.issued_at)
    with watch.watching(RecordedSession(CountingDirectory()), resolved, GROUP):
        watch.tick()
    await watch.close()


async def test_the_directorys_word_takes_the_place_of_the_tokens(
    watch: Memberships, directory: CountingDirectory
) -> None:
    resolved = await watch.resolve(identity("ann", OTHER), in_group)
    assert resolved.identity.groups == {GROUP}
    assert (resolved.source, resolved.checked_at) == ("graph", NOW)
    assert directory.groups_queried == {frozenset({GROUP, OTHER})}


@pytest.mark.parametrize("state", [PrincipalState.DISABLED, PrincipalState.DELETED])
async def test_a_principal_that_is_disabled_or_gone_does_not_get_in(
    watch: Memberships, directory: CountingDirectory, state: PrincipalState
) -> None:
    directory.states["ann"] = state
    with pytest.raises(TokenRefused) as refused:
        await watch.resolve(identity(), in_group)
    assert refused.value.reason == f"principal-{state}"


async def test_a_user_is_looked_up_as_a_user(watch: Memberships, directory: CountingDirectory) -> None:
    asked: list[bool] = []
    look_up = directory.look_up

    class Noting(CountingDirectory):
        async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: datetime) -> DirectoryAnswer:
            asked.append(principal.is_user)
            return await look_up(principal, groups, now)

    noting = memberships(Noting())
    for kind in IdentityKind:
        await noting.resolve(identity(kind.value, kind=kind), in_group)
    assert asked == [False, True, False, True]


async def test_many_logins_of_one_identity_at_once_are_one_question(
    watch: Memberships, directory: CountingDirectory
) -> None:
    results = await asyncio.gather(*(watch.resolve(identity(), in_group) for _ in range(50)))
    assert directory.queries == {"ann": 1}
    assert {resolved.checked_at for resolved in results} == {NOW}


async def test_a_cancelled_login_does_not_cancel_the_query_of_the_others(
    watch: Memberships, directory: CountingDirectory
) -> None:
    directory.hold = asyncio.Event()
    impatient, patient = (asyncio.create_task(watch.resolve(identity(), in_group)) for _ in range(2))
    await let_tasks_run()
    impatient.cancel()
    directory.hold.set()
    assert (await patient).source == "graph"
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_an_answer_counts_for_logins_within_the_interval(
    watch: Memberships, directory: CountingDirectory
) -> None:
    await watch.resolve(identity(), in_group)
    directory.now += RECHECK - SECOND
    await watch.resolve(identity(), in_group)
    assert directory.queries["ann"] == 1
    directory.now += SECOND
    await watch.resolve(identity(), in_group)
    assert directory.queries["ann"] == 2


async def test_a_member_added_a_moment_ago_is_accepted_at_the_next_try(
    watch: Memberships, directory: CountingDirectory
) -> None:
    directory.removed.add("ann")
    assert not (await watch.resolve(identity(), in_group)).identity.groups
    directory.removed.clear()
    directory.now += 5 * SECOND
    assert (await watch.resolve(identity(), in_group)).identity.groups == {GROUP}


async def test_repeated_refused_logins_make_no_flood_of_queries(
    watch: Memberships, directory: CountingDirectory
) -> None:
    directory.removed.add("ann")
    for _ in range(100):
        await watch.resolve(identity(), in_group)
        directory.now += SECOND / 10
    assert directory.queries["ann"] == 2


async def test_while_the_directory_is_down_the_last_answer_counts_for_so_long(
    watch: Memberships, directory: CountingDirectory
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
    watch: Memberships, directory: CountingDirectory
) -> None:
    directory.broken = RuntimeError("broken")
    with pytest.raises(ServerUnavailable):
        await watch.resolve(identity(), in_group)


# --- the token first -----------------------------------------------------------------------------------------


async def test_a_claim_opens_the_session_and_the_directory_is_queried_at_once(
    after_claim: Memberships, directory: CountingDirectory
) -> None:
    resolved = await after_claim.resolve(identity("ann", GROUP), in_group)
    assert (resolved.source, resolved.checked_at) == ("claim", NOW - SECOND)
    assert not directory.queries
    directory.removed.add("ann")
    live = RecordedSession(directory)
    with after_claim.watching(live, resolved, GROUP):
        await pass_time(after_claim, directory, 2)
    assert live.ended == [("membership-lost", NOW + 2 * SECOND)]


async def test_a_token_without_its_groups_is_looked_up(
    after_claim: Memberships, directory: CountingDirectory
) -> None:
    resolved = await after_claim.resolve(replace(identity(), groups_known=False), in_group)
    assert resolved.identity.groups == {GROUP}
    assert (resolved.source, resolved.identity.groups_known) == ("graph", True)


async def test_a_claim_does_not_override_a_denial_by_the_directory(
    after_claim: Memberships, directory: CountingDirectory
) -> None:
    directory.removed.add("ann")
    ann = identity("ann", GROUP)
    resolved = await after_claim.resolve(ann, in_group)
    live = RecordedSession(directory)
    with after_claim.watching(live, resolved, GROUP):
        await pass_time(after_claim, directory, 3)
    assert live.ended
    for _ in range(200):
        directory.now += SECOND
        assert not (await after_claim.resolve(ann, in_group)).identity.groups
    directory.removed.clear()
    directory.now += 5 * SECOND
    assert (await after_claim.resolve(ann, in_group)).identity.groups == {GROUP}


async def test_one_that_comes_and_goes_makes_no_more_questions(
    after_claim: Memberships, directory: CountingDirectory
) -> None:
    ann = identity("ann", GROUP)
    for _ in range(60):
        resolved = await after_claim.resolve(ann, in_group)
        with after_claim.watching(RecordedSession(directory), resolved, GROUP):
            await pass_time(after_claim, directory, 3)
    assert 3 <= directory.queries["ann"] <= 4


async def test_tokens_alone_do_not_do_while_the_directory_is_down_for_long(
    after_claim: Memberships, directory: CountingDirectory
) -> None:
    directory.down = True
    ann = identity("ann", GROUP)
    live = RecordedSession(directory)
    with after_claim.watching(live, await after_claim.resolve(ann, in_group), GROUP):
        await pass_time(after_claim, directory, 310)
    assert live.ended == [("membership-unknown", NOW + MAX_STALE)]
    with pytest.raises(ServerUnavailable):
        await after_claim.resolve(ann, in_group)
    directory.down = False
    assert (await after_claim.resolve(ann, in_group)).source == "graph"
