"""A denial by the directory is kept while older tokens that claim otherwise are valid."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.identity.directory import DirectoryAnswer, Principal
from pgjit.identity.identity import IdentityKey
from pgjit.identity.membership_rechecks import GroupSource
from pgjit.proxy.membership import Memberships
from tests.fakes.counting_directory import (
    GROUP,
    HOUR,
    MAX_STALE,
    NOW,
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

MINUTE = 60 * SECOND


async def test_a_token_from_before_a_denial_is_never_enough_again(
    after_claim: Memberships, directory: CountingDirectory
) -> None:
    ann = identity("ann", GROUP)
    live = RecordedSession(directory)
    with after_claim.watching(live, await after_claim.resolve(ann, in_group), GROUP):
        directory.removed.add("ann")
        await pass_time(after_claim, directory, 3)
    assert live.ended
    for _ in range(24 * 60):  # as long as such a token can live
        await pass_time(after_claim, directory, 1)
        directory.now += 59 * SECOND
        resolved = await after_claim.resolve(ann, in_group)
        assert resolved.source == "graph"
        assert not resolved.identity.groups
    directory.down = True
    directory.now += MAX_STALE
    with pytest.raises(ServerUnavailable):
        await after_claim.resolve(ann, in_group)


async def test_a_removed_member_gets_no_series_of_short_sessions_by_its_token(
    after_claim: Memberships, directory: CountingDirectory
) -> None:
    """Each is over before its membership would be looked up; the look comes all the same."""
    directory.removed.add("ann")
    ann = identity("ann", GROUP)
    inside = 0
    for _ in range(20):
        resolved = await after_claim.resolve(ann, in_group)
        if in_group(resolved.identity):
            inside += 1
            with after_claim.watching(RecordedSession(directory), resolved, GROUP):
                await let_tasks_run()
        await pass_time(after_claim, directory, 1)
    assert inside <= 2
    assert directory.queries["ann"] <= 5


async def test_a_token_from_after_a_no_is_believed_again_when_that_is_old(
    after_claim: Memberships, directory: CountingDirectory
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


async def test_a_token_from_before_the_start_is_nothing_without_an_answer(
    after_claim: Memberships, directory: CountingDirectory
) -> None:
    old = replace(identity("ann", GROUP), issued_at=NOW - HOUR - SECOND)
    directory.removed.add("ann")
    assert not (await after_claim.resolve(old, in_group)).identity.groups
    directory.down = True
    bob = replace(old, key=IdentityKey("t", "bob"))
    with pytest.raises(ServerUnavailable) as refused:
        await after_claim.resolve(bob, in_group)
    assert refused.value.fields()["C"] == "57P03"
    fresh = replace(bob, issued_at=NOW)
    assert (await after_claim.resolve(fresh, in_group)).source == "claim"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = SqlStore(SqliteDatabase(tmp_path / "w.sqlite3"))
    await made.open()
    yield made
    await made.close()


async def _restarted(directory: CountingDirectory, store: SqlStore) -> Memberships:
    return memberships(
        directory,
        GroupSource.CLAIM_THEN_GRAPH,
        denials=store,
        denied=await store.denials(directory.now),
        begun=timedelta(),
    )


@pytest.mark.parametrize("how", ["at a login", "in a session"])
async def test_a_no_outlives_restarts_while_the_directory_is_down(
    directory: CountingDirectory, store: SqlStore, how: str
) -> None:
    ann = identity("ann", GROUP)
    first = memberships(directory, GroupSource.CLAIM_THEN_GRAPH, denials=store)
    if how == "at a login":
        directory.removed.add("ann")
        await first.resolve(replace(ann, groups_known=False), in_group)
    else:
        live = RecordedSession(directory)
        with first.watching(live, await first.resolve(ann, in_group), GROUP):
            directory.removed.add("ann")
            await pass_time(first, directory, 3)
        assert live.ended
    await first.close()
    directory.down = True
    # A token of just now, which the directory has not heard of yet, as little as the old one.
    for token in (ann, replace(ann, issued_at=directory.now + 3 * MINUTE)):
        again = await _restarted(directory, store)
        assert not (await again.resolve(token, in_group)).identity.groups
        await again.close()
    for _ in range(3):
        directory.now += MAX_STALE
        again = await _restarted(directory, store)
        with pytest.raises(ServerUnavailable):
            await again.resolve(ann, in_group)
        await again.close()


async def test_a_yes_after_a_no_is_kept_as_well(directory: CountingDirectory, store: SqlStore) -> None:
    first = memberships(directory, GroupSource.CLAIM_THEN_GRAPH, denials=store)
    directory.removed.add("ann")
    ann = replace(identity("ann", GROUP), groups_known=False)
    await first.resolve(ann, in_group)
    assert len(await store.denials(NOW)) == 1
    directory.removed.clear()
    directory.now += RECHECK
    assert in_group((await first.resolve(ann, in_group)).identity)
    assert await store.denials(NOW) == []
    await first.close()


async def test_a_store_that_cannot_keep_a_no_changes_nothing_of_the_answer(
    directory: CountingDirectory, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    first = memberships(directory, GroupSource.CLAIM_THEN_GRAPH, denials=store)
    await store.close()
    directory.removed.add("ann")
    assert not (await first.resolve(replace(identity("ann"), groups_known=False), in_group)).identity.groups
    assert "is not stored" in caplog.text
    await first.close()


async def test_a_denial_that_ends_many_sessions_is_stored_once(directory: CountingDirectory) -> None:
    stored: list[Principal] = []

    class Denials:
        async def keep_denial(self, principal: Principal, answer: DirectoryAnswer, until: datetime) -> None:
            stored.append(principal)

        async def drop_denial(self, principal: Principal) -> None: ...

    watch = memberships(directory, denials=Denials())
    sessions = [RecordedSession(directory) for _ in range(100)]
    with ExitStack() as stack:
        for session in sessions:
            resolved = await watch.resolve(identity("ann"), in_group)
            stack.enter_context(watch.watching(session, resolved, GROUP))
        directory.removed.add("ann")
        await pass_time(watch, directory, 200)
    await watch.close()
    assert [[reason for reason, _ in each.ended] for each in sessions] == [["membership-lost"]] * 100
    assert len(stored) == 1
