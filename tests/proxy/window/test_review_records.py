from __future__ import annotations

from pathlib import Path

import pytest

from pgjit.audit.review_event import LockLifted, LockSet, RequestEnded, RequestMade, VerdictGiven, WindowRevoked
from pgjit.errors import ServerUnavailable
from pgjit.grants.journal_entry import JournalEntry
from pgjit.grants.lock import Lock
from pgjit.grants.request_lifecycle import approve
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.proxy.window.review_records import event_of
from tests.contracts.store import ALICE, NOW, POLICY
from tests.grants.review_cast import ADMIN, CAROL, request, reviewer


async def test_each_entry_of_the_store_becomes_its_event(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3"), node="one")
    await store.open()
    made = await store.file_request(request(), NOW, at_most=5)
    await store.change_request(made.id, lambda one: approve(one, reviewer(CAROL), NOW), NOW)
    await store.admit(ALICE, POLICY, NOW)
    await store.revoke(Scope(ScopeKind.ALL), ADMIN, "incident 7", NOW)
    await store.set_lock(Lock(id="l_1", scope=Scope(ScopeKind.ALL), reason="x", set_by=ADMIN, set_at=NOW))
    await store.lift_lock("l_1", ADMIN, "over", NOW)
    events = [event_of(entry) for entry in await store.journal_outbox()]
    await store.close()
    kinds = [RequestMade, VerdictGiven, RequestEnded, WindowRevoked, RequestEnded, LockSet, LockLifted]
    assert [type(event) for event in events] == kinds
    assert {event.at for event in events} == {NOW}


@pytest.mark.parametrize(("kind", "note"), [("request.made", "{}"), ("unknown", "{}"), ("lock.lifted", "[]")])
def test_an_entry_that_pgjit_did_not_write_is_an_error(kind: str, note: str) -> None:
    with pytest.raises(ServerUnavailable):
        event_of(JournalEntry(id=1, node="one", kind=kind, subject="x", note=note))
