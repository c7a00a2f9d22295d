"""A store from a backup: no approval is used twice, and a lock that was set since holds again."""

from __future__ import annotations

import shutil
from pathlib import Path

from pgjit.grants.lock import Lock
from pgjit.grants.request import RequestState
from pgjit.grants.request_lifecycle import approve, withdraw
from pgjit.grants.scope import Scope, ScopeKind
from tests.contracts.store import NOW
from tests.grants.review_cast import ADMIN, CAROL, request, reviewer
from tests.proxy.window.test_reconciliation import Machine


async def test_ended_requests_and_locks_of_the_journal_are_restored(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    locks = [Lock(id=f"l_{n}", scope=Scope(ScopeKind.ALL), reason="stop", set_by=ADMIN, set_at=NOW) for n in range(3)]
    async with machine.process() as windows:
        store = windows._store
        await store.file_request(request(), NOW, at_most=5)
        await store.change_request("r_1", lambda each: approve(each, reviewer(CAROL), NOW), NOW)
        await store.set_lock(locks[0])
        await store.lift_lock("l_0", ADMIN, "over", NOW)
    shutil.copy(machine.store_path, tmp_path / "snapshot")
    async with machine.process() as windows:
        store = windows._store
        await store.change_request("r_1", lambda each: withdraw(each, NOW, "used"), NOW)
        for lock in locks[1:]:
            await store.set_lock(lock)
        await store.lift_lock("l_2", ADMIN, "over", NOW)
    for each in tmp_path.glob("w.sqlite3*"):
        each.unlink()
    shutil.copy(tmp_path / "snapshot", machine.store_path)
    for _ in range(2):  # a second start changes nothing
        async with machine.process() as windows:
            store = windows._store
            restored = await store.request("r_1")
            assert restored is not None
            assert (restored.state, restored.end_note is not None) == (RequestState.WITHDRAWN, True)
            assert [each.id for each in await store.locks(NOW)] == ["l_1"]
    assert len(machine.of_type("lock.set")) == 4  # and once more, so that people hear of it
