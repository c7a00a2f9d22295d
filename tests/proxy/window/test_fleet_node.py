"""A node among others: its name, its clock, its view of the store, and what dead nodes left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pgjit.clock import Clock
from pgjit.errors import ServerUnavailable
from pgjit.grants.node import Node
from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.grants.window import Window
from pgjit.proxy.window import fleet_node
from pgjit.proxy.window.fleet_node import FleetNode
from tests.contracts.store import ALICE, POLICY
from tests.run.waiting import until


class Work:
    """Records what the node has to do."""

    def __init__(self) -> None:
        self.adopted: list[Window] = []
        self.taken: list[Window] = []
        self.ended: list[str] = []
        self.differing: list[tuple[str, str]] = []

    async def adopt(self, windows: list[Window]) -> None:
        self.adopted += windows

    async def take_over(self, windows: list[Window]) -> None:
        self.taken += windows

    def end_sessions(self, reason: str) -> None:
        self.ended.append(reason)

    def differs(self, node: Node, policy: str, version: str) -> None:
        self.differing.append((node.name, policy))


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_node, "_HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(fleet_node, "_LOOK_EVERY", 1)


@pytest.fixture
async def store_of(tmp_path: Path) -> AsyncIterator[Callable[[str], SqlStore]]:
    stores: list[SqlStore] = []

    def make(name: str) -> SqlStore:
        stores.append(SqlStore(SqliteDatabase(tmp_path / "windows.sqlite3", shared=True), node=name))
        return stores[-1]

    yield make
    for store in stores:
        await store.close()


def node_of(
    store: SqlStore, clock: Clock | None = None, *, stale: float = 60, strict: bool = False, version: str = "1"
) -> FleetNode:
    policies = {POLICY.name: version}
    after = timedelta(seconds=stale)
    return FleetNode(store.node, store, clock or Clock(), policies, stale_after=after, strict=strict)


async def test_a_second_process_of_the_same_name_is_refused(store_of: Callable[[str], SqlStore]) -> None:
    first, second = store_of("a"), store_of("a")
    await first.open()
    await second.open()
    async with node_of(first).alive():
        with pytest.raises(ServerUnavailable) as caught:
            async with node_of(second).alive():
                pass
    assert caught.value.reference == "node-name-in-use"
    assert "node `a`" in (caught.value.detail or "")
    async with node_of(second).alive():
        pass  # the first was stopped in order


async def test_a_killed_process_loses_its_name_and_notices_if_it_lives_on(
    store_of: Callable[[str], SqlStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_node, "HOLD_SECONDS", 0.1)
    first, second = store_of("a"), store_of("a")
    await first.open()
    await second.open()
    stalled, work = node_of(first), Work()
    stalled.work_with(work)
    await stalled._begin()  # it has the name, and sends no heartbeat
    async with node_of(second).alive():
        beating = asyncio.create_task(stalled._keep_beating())
        try:
            async with asyncio.timeout(60):
                await until(lambda: "node-superseded" in work.ended)
            with pytest.raises(ServerUnavailable, match="opens no windows"):
                stalled.check()
        finally:
            beating.cancel()


async def test_a_name_is_free_at_once_if_its_process_is_known_to_have_ended(
    store_of: Callable[[str], SqlStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_node, "HOLD_SECONDS", 3600)
    killed, other = store_of("a"), store_of("b")
    await killed.open()
    await other.open()
    assert await killed.begin_node("killed", {}) is None
    async with FleetNode("a", killed, Clock(), {}, run="next", dead=["killed"]).alive():
        assert {node.name: node.run for node in await other.nodes()} == {"a": "next"}
        with pytest.raises(ServerUnavailable) as caught:
            async with FleetNode("a", killed, Clock(), {}, dead=["killed"]).alive():
                pytest.fail("another process has the name, which is not the one that has ended")
        assert caught.value.reference == "node-name-in-use"


@pytest.mark.parametrize("strict", [True, False])
async def test_a_stale_view_ends_the_sessions_of_a_strict_node_alone(
    store_of: Callable[[str], SqlStore], strict: bool
) -> None:
    store, work = store_of("a"), Work()
    await store.open()
    node = node_of(store, stale=0.05, strict=strict)
    node.work_with(work)
    async with node.alive():
        await store.close()
        async with asyncio.timeout(60):
            await until(lambda: node.stale and (bool(work.ended) or not strict))
    assert set(work.ended) == ({"store-stale"} if strict else set())


async def test_a_clock_that_is_behind_follows_the_stores_and_one_ahead_opens_nothing(
    store_of: Callable[[str], SqlStore],
) -> None:
    store, other = store_of("a"), store_of("b")
    await store.open()
    await other.open()
    behind = Clock(wall=lambda: datetime.now(UTC) - timedelta(minutes=10))
    async with node_of(store, behind).alive():
        assert datetime.now(UTC) - behind() < timedelta(minutes=5)
    ahead = node_of(other, Clock(wall=lambda: datetime.now(UTC) + timedelta(minutes=10)))
    async with ahead.alive():
        with pytest.raises(ServerUnavailable) as caught:
            ahead.check()
    assert caught.value.reference == "node-clock-ahead"


async def test_windows_of_a_stopped_node_are_adopted_once_they_are_over_and_other_policies_reported(
    store_of: Callable[[str], SqlStore],
) -> None:
    gone, there, store = store_of("gone"), store_of("there"), store_of("a")
    for each in (gone, there, store):
        await each.open()
    async with node_of(gone).alive():
        now = datetime.now(UTC)
        over, _ = await gone.admit(ALICE, POLICY, now - 2 * POLICY.ttl)
    work, node = Work(), node_of(store, version="2")
    node.work_with(work)
    async with node_of(there).alive(), node.alive(), asyncio.timeout(60):
        await until(lambda: bool(work.adopted and work.differing))
    assert [window.id for window in work.adopted] == [over.id]
    assert work.differing == [("there", POLICY.name)]


async def test_what_a_dead_process_had_is_taken_over_at_once_unless_the_next_one_has_begun(
    store_of: Callable[[str], SqlStore],
) -> None:
    dead, store, work = store_of("a"), store_of("b"), Work()
    await dead.open()
    await store.open()
    node = node_of(store)
    async with node.alive():
        assert await dead.begin_node("first", {}) is None
        window, _ = await dead.admit(ALICE, POLICY, datetime.now(UTC))
        await node.take_over_from("a", "first")
        assert work.taken == [], "it cannot end anything yet"
        node.work_with(work)
        await node.take_over_from("a", "of another process")
        assert work.taken == []
        await node.take_over_from("a", "first")
        await node.take_over_from("a", "first")
        assert work.taken == [window]
        assert [each.stopped for each in await store.nodes() if each.name == "a"] == [True]
        assert await dead.begin_node("second", {}) is None, "it need not wait"
        await store.close()
        await node.take_over_from("a", "second")  # the store is not reached: that is for the next process of its name
        assert work.taken == [window]
        await store.open()
