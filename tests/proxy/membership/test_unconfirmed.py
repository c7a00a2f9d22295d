"""Claims that the directory does not confirm, and logins that are cut off inside the store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from pgjit.audit.journal import Journal
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import Clock
from pgjit.errors import ServerUnavailable
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.identity.directory import DirectoryAnswer, DirectoryUnavailable, Principal
from pgjit.identity.identity import GroupId, IdentityKey
from pgjit.identity.membership_rechecks import GroupSource
from pgjit.proxy.registry import Registry
from pgjit.proxy.window.windows import Windows
from tests.contracts.store import POLICY
from tests.fakes.both_ends import CONTEXT
from tests.fakes.counting_directory import GROUP, MAX_STALE, NOW, SECOND, CountingDirectory, memberships
from tests.run.journal_text import journal_lines
from tests.run.waiting import a_while


@dataclass
class Half(CountingDirectory):
    """Answers about apps, refuses about one principal: a consent that is missing for users, or for one tenant."""

    refused: set[str] = field(default_factory=set)

    async def look_up(self, principal: Principal, groups: Iterable[GroupId], now: object) -> DirectoryAnswer:
        if principal.key.oid in self.refused:
            raise DirectoryUnavailable("Graph answered 403")
        return await super().look_up(principal, groups, now)  # type: ignore[arg-type]


class Ends:
    idle = True

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def cut_off(self) -> None:
        """It has no client that sends."""

    async def end(self, reason: str, explanation: str | None = None) -> None:
        assert explanation is None
        self.reasons.append(reason)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_claim_that_was_never_confirmed_lets_nobody_in_for_ever_because_others_are_confirmed() -> None:
    directory = Half(refused={"ann"})
    watch = memberships(directory, GroupSource.CLAIM_THEN_GRAPH, jitter=lambda: 0.5)
    ann = replace(
        CONTEXT.identity, key=IdentityKey("t", "ann"), groups=frozenset({GROUP}), groups_known=True, issued_at=NOW
    )
    bob = replace(ann, key=IdentityKey("t", "bob"))
    with ExitStack() as stack:
        resolved = await watch.resolve(bob, lambda known: GROUP in known.groups)
        stack.enter_context(watch.watching(Ends(), resolved, GROUP))
        logins = 0
        for _ in range(6):  # half an hour, six times max_stale
            session = Ends()
            try:
                resolved = await watch.resolve(ann, lambda known: GROUP in known.groups)
            except ServerUnavailable:
                break
            logins += 1
            with watch.watching(session, resolved, GROUP):
                while not session.reasons:
                    directory.now += SECOND
                    watch.tick()
                    await settle()
            assert session.reasons == ["membership-unknown"]
    await watch.close()
    assert logins == 1, f"{logins} sessions of {MAX_STALE} each, and the directory has confirmed none"


async def test_a_login_that_is_cut_off_in_the_store_leaves_no_window_that_nobody_recorded(tmp_path: Path) -> None:
    """Whoever holds a password back until just before `handshake_seconds` chooses this moment."""
    store, path = SqlStore(SqliteDatabase(tmp_path / "w.sqlite3")), tmp_path / "journal"
    await store.open()
    journal = Journal.open(SegmentSink(path))
    windows = Windows(store, journal, Registry(), Clock(wall=lambda: NOW, steady=lambda: 0.0))
    cut = 0
    for number in range(100):
        who = replace(CONTEXT.identity, key=IdentityKey("t", f"o{number}"))
        login = asyncio.create_task(windows.admit(who, POLICY, "10.0.0.7:1", None))
        await a_while(0.012 * (number / 100) ** 3)  # more of the short ones: a fast machine needs 1 ms for a login
        login.cancel()
        try:
            await login
        except asyncio.CancelledError:
            cut += 1
    opened = {window.id for window in await store.unended()}
    recorded = {json.loads(line)["window"]["id"] for line in journal_lines(path)}
    await windows.close()
    await journal.close()
    await store.close()
    assert cut > 10
    assert opened == recorded
