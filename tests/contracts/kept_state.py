"""What every store must keep besides windows: marks, backends, denials; and how it reports a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from pgjit.grants.actor import Actor
from pgjit.grants.journal_mark import JournalMark
from pgjit.grants.kept_backend import BackendAddress, KeptBackend
from pgjit.grants.lock import Lock
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.server_process import ServerInstance, ServerProcess
from pgjit.grants.store import Store
from pgjit.identity.directory import DirectoryAnswer, Principal, PrincipalState
from pgjit.identity.identity import GroupId
from tests.contracts.store import ALICE, BOB, HOUR, NOW, POLICY

__all__ = ["KeptStateContract"]

_ADMIN = Actor(key=BOB, display="Bob", via="api")


class KeptStateContract:
    """Subclassed together with StoreContract, which has the fixtures."""

    async def test_how_far_a_journal_was_seen_outlives_the_store_object(self, make: Callable[[], Store]) -> None:
        first = make()
        await first.open()
        assert await first.journal_mark("a") is None
        await first.note_journal_mark("a", JournalMark(7, "ab"))
        await first.note_journal_mark("a", JournalMark(9, "cd"))
        await first.note_journal_mark("b", JournalMark(1, "ef"))
        await first.close()
        second = make()
        await second.open()
        assert await second.journal_mark("a") == JournalMark(9, "cd")
        assert await second.journal_mark("b") == JournalMark(1, "ef")
        await second.close()

    async def test_backends_are_kept_until_they_are_over(self, make: Callable[[], Store]) -> None:
        reached: list[tuple[str, str | tuple[object, ...]]] = [
            ("/run/postgresql", "/run/postgresql/.s.PGSQL.5432"),
            ("db", ("10.0.0.1", 5432)),
        ]
        kept = [
            KeptBackend(
                session_id=f"s_{number}",
                window_id="w_1",
                address=BackendAddress(connection="shop", host=host, port=5432, family=number, sockaddr=sockaddr),
                process=ServerProcess(
                    pid=4711,
                    started=NOW,
                    role=16384,
                    instance=ServerInstance(
                        system="7713", started=NOW - HOUR, timeline=None, standby=True, endpoint=None
                    ),
                ),
            )
            for number, (host, sockaddr) in enumerate(reached)
        ]
        first = make()
        await first.open()
        await first.note_backends(kept, ["s_unknown"])
        await first.note_backends(kept, [])  # twice is once
        await first.close()
        again = make()
        await again.open()
        assert await again.backends() == kept
        await again.note_backends([], ["s_0"])
        assert await again.backends() == kept[1:]
        await again.close()

    async def test_what_a_directory_denied_outlives_the_store_object(self, make: Callable[[], Store]) -> None:
        ann, app = Principal(ALICE, is_user=True), Principal(ALICE, is_user=False, acting=True)
        gone = DirectoryAnswer(at=NOW, state=PrincipalState.DELETED, groups=frozenset())
        other = DirectoryAnswer(at=NOW, state=PrincipalState.ENABLED, groups=frozenset({GroupId("b"), GroupId("a")}))
        first = make()
        await first.open()
        await first.keep_denial(ann, gone, NOW + HOUR)
        await first.keep_denial(app, other, NOW + HOUR)
        await first.keep_denial(ann, replace(gone, at=NOW - HOUR), NOW)  # an older answer changes nothing
        await first.close()
        second = make()
        await second.open()
        assert dict(await second.denials(NOW + HOUR)) == {ann: gone, app: other}
        await second.drop_denial(ann)
        assert await second.denials(NOW + HOUR) == [(app, other)]
        assert await second.denials(NOW + HOUR + timedelta(seconds=1)) == []
        await second.keep_denial(ann, replace(gone, at=NOW + 2 * HOUR), NOW + 3 * HOUR)
        assert len(await second.denials(NOW)) == 1  # the one that nobody needs any more is gone
        await second.close()

    async def test_who_waits_for_changes_is_woken_by_one_and_not_by_a_join(self, store: Store) -> None:
        seen = await store.changes(0)
        waiting = asyncio.create_task(store.changes(seen))
        await store.admit(ALICE, POLICY, NOW)
        await store.set_lock(Lock(id="l_1", scope=Scope(ScopeKind.ALL), reason="x", set_by=_ADMIN, set_at=NOW))
        assert await waiting != seen

    async def test_a_store_that_carries_transactions_out_is_usable(self, make: Callable[[], Store]) -> None:
        store, states = make(), []
        states.append(store.usable)
        await store.open()
        states.append(store.usable)
        await store.close()
        assert [*states, store.usable] == [False, True, False]
