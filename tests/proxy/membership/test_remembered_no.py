"""What a directory has denied is not forgotten while tokens live that say otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.identity.identity import IdentityKey
from pgjit.proxy.membership import Memberships
from tests.fakes.watched import (
    GROUP,
    HOUR,
    MAX_STALE,
    NOW,
    RECHECK,
    SECOND,
    Counting,
    Live,
    identity,
    in_group,
    pass_time,
    settled,
)


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
