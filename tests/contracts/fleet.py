"""What every store must do that several nodes use. A store's test file subclasses FleetContract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from pgjit.audit.review_event import WindowAdopted
from pgjit.errors import CoolingDown
from pgjit.grants.actor import Actor
from pgjit.grants.fleet_key import KEPT_FOR, RENEWED_AFTER
from pgjit.grants.kept_backend import BackendAddress, KeptBackend
from pgjit.grants.node import Node
from pgjit.grants.request_refusals import TooManySessions
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.server_process import ServerInstance, ServerProcess
from pgjit.grants.session_elsewhere import SessionElsewhere
from pgjit.grants.store import Store
from pgjit.grants.usage import Usage
from pgjit.policy.policy import Limits
from pgjit.proxy.window.review_records import event_of
from tests.contracts.store import ALICE, BOB, HOUR, NOW, POLICY

__all__ = ["FleetContract"]

LIMITS = Limits(window_statements=100, window_rows=1000)
NOTHING = Usage()
PROCESS = ServerProcess(pid=4711, started=NOW, role=10, instance=ServerInstance(system="7713", started=NOW - HOUR))


def backend(session_id: str, window_id: str) -> KeptBackend:
    address = BackendAddress(connection="shop", host="db", port=5432, family=2, sockaddr=("10.0.0.1", 5432))
    return KeptBackend(session_id=session_id, window_id=window_id, address=address, process=PROCESS)


class FleetContract:
    @pytest.fixture
    def make_node(self) -> Callable[[str], Store]:
        """A function whose every call gives the store of a node, on the same data. Given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    async def nodes(self, make_node: Callable[[str], Store]) -> AsyncIterator[tuple[Store, Store]]:
        async with AsyncExitStack() as stack:
            made = make_node("a"), make_node("b")
            for each in made:
                await each.open()
                stack.push_async_callback(each.close)
                await each.begin_node("first", {"p": "1"})
            yield made

    async def test_a_name_is_taken_once_until_its_process_is_stopped_or_silent(
        self, nodes: tuple[Store, Store]
    ) -> None:
        first, _ = nodes
        holder = await first.begin_node("second", {})
        assert isinstance(holder, Node)
        assert (holder.name, holder.run, holder.stopped, dict(holder.policies)) == ("a", "first", False, {"p": "1"})
        assert await first.heartbeat("first") is not None
        assert await first.begin_node("second", {}, over=holder) is not None, "it has been heard of since"
        silent = {node.name: node for node in await first.nodes()}["a"]
        assert await first.begin_node("second", {}, over=silent) is None
        assert await first.heartbeat("first") is None
        await first.stop_node("first")  # not its row any more
        assert await first.begin_node("third", {}) is not None
        await first.stop_node("second")
        assert await first.begin_node("third", {}) is None

    async def test_each_node_has_its_own_windows_and_records(self, nodes: tuple[Store, Store]) -> None:
        first, second = nodes
        window, _ = await first.admit(ALICE, POLICY, NOW, None, "an opening")
        other, _ = await second.admit(BOB, POLICY, NOW)
        assert (await first.unended(own=True), await second.unended(own=True)) == ([window], [other])
        assert [each.note for each in await first.outbox()] == ["an opening"]
        assert await second.outbox() == []

    async def test_a_window_is_ended_when_the_last_node_has_ended_it(self, nodes: tuple[Store, Store]) -> None:
        first, second = nodes
        window, _ = await first.admit(ALICE, POLICY, NOW)
        assert await second.admit(ALICE, POLICY, NOW) == (window, False)
        at = NOW + timedelta(minutes=5)
        assert await first.end(window.id, at, "membership-lost", "an end") is False
        [ending] = await second.unended(own=True)
        assert (ending.ended_at, ending.ending_at, ending.ending_reason) == (None, at, "membership-lost")
        for node in nodes:
            with pytest.raises(CoolingDown):
                await node.admit(ALICE, POLICY, at)
        assert await second.end(window.id, at, "ttl", "an end") is True
        assert (await first.known([window.id]))[window.id].end_reason == "ttl"
        assert ([each.kind for each in await second.outbox()], await first.outbox()) == (["ended"], [])

    async def test_two_nodes_that_open_at_once_have_one_window(self, nodes: tuple[Store, Store]) -> None:
        admitted = await asyncio.gather(*(node.admit(ALICE, POLICY, NOW) for node in nodes for _ in range(3)))
        assert len({window for window, _ in admitted}) == 1
        assert [opened for _, opened in admitted].count(True) == 1

    async def test_sessions_are_counted_over_all_nodes(self, nodes: tuple[Store, Store]) -> None:
        first, second = nodes
        policy = replace(POLICY, limits=Limits(sessions=3))
        window, _ = await first.admit(ALICE, policy, NOW, sessions=2)
        await second.admit(ALICE, policy, NOW, sessions=1)
        with pytest.raises(TooManySessions):
            await second.admit(ALICE, policy, NOW, sessions=2)
        await first.note_sessions(window.id, 1)
        await second.admit(ALICE, policy, NOW, sessions=2)

    async def test_each_node_sees_the_sessions_of_the_others(self, nodes: tuple[Store, Store]) -> None:
        first, second = nodes
        of_alice, _ = await first.admit(ALICE, POLICY, NOW)
        of_bob, _ = await second.admit(BOB, POLICY, NOW)
        await first.note_backends([backend("s_1", of_alice.id)], [])
        await second.note_backends([backend("s_2", of_alice.id), backend("s_3", of_bob.id)], [])
        one, two, three = (
            SessionElsewhere(id=name, node=node, window=window, process=PROCESS)
            for name, node, window in (("s_1", "a", of_alice), ("s_2", "b", of_alice), ("s_3", "b", of_bob))
        )
        assert (await first.sessions_elsewhere(), await second.sessions_elsewhere()) == ([two, three], [one])
        assert await first.sessions_elsewhere(identity=BOB) == [three]
        assert await first.sessions_elsewhere(window_ids=[of_alice.id]) == [two]
        assert await first.sessions_elsewhere(window_ids=[]) == []
        unread = SimpleNamespace(session_id="s_4", window_id=of_bob.id, note="{}")
        await second.note_backends([unread], ["s_2"])  # type: ignore[list-item]
        assert await first.sessions_elsewhere() == [three, replace(three, id="s_4", process=None)]

    async def test_all_nodes_have_the_same_keys_and_a_new_one_each_month(self, nodes: tuple[Store, Store]) -> None:
        first, second = nodes
        (key,) = await first.fleet_keys(NOW)
        assert await second.fleet_keys(NOW + RENEWED_AFTER - HOUR) == [key]
        older, newer = await second.fleet_keys(NOW + RENEWED_AFTER)
        assert (older, newer.made_at, len(newer.secret)) == (key, NOW + RENEWED_AFTER, 32)
        assert newer.number > older.number
        assert newer.secret != older.secret
        assert await first.fleet_keys(NOW + RENEWED_AFTER + HOUR) == [older, newer]
        kept = await first.fleet_keys(NOW + KEPT_FOR)
        assert kept[0] == newer
        assert len(kept) == 2

    async def test_a_budget_is_leased_in_shares_and_given_back(self, nodes: tuple[Store, Store]) -> None:
        first, second = nodes
        lease = await first.extend_lease("w", LIMITS, NOTHING, NOTHING)
        assert lease.granted == Usage(rows=40, statements=4)
        assert (await first.extend_lease("w", LIMITS, NOTHING, NOTHING)).granted == lease.granted
        lease = await first.extend_lease("w", LIMITS, Usage(statements=4), Usage(statements=96))
        assert lease.granted == Usage(rows=40, statements=100)
        lease = await second.extend_lease("w", LIMITS, NOTHING, Usage(statements=1))
        assert (lease.granted.statements, lease.others.statements) == (0, 100)
        await first.give_lease_back("w", Usage(rows=3, statements=10))
        await first.give_lease_back("w", Usage(rows=3, statements=10))
        assert await second.usage("w") == Usage(rows=3, statements=10)
        lease = await second.extend_lease("w", LIMITS, NOTHING, Usage(statements=1000))
        assert (lease.granted.statements, lease.settled.statements) == (90, 10)

    async def test_the_lease_of_a_process_that_was_killed_counts_as_spent(self, nodes: tuple[Store, Store]) -> None:
        first, second = nodes
        await first.extend_lease("w", LIMITS, NOTHING, Usage(statements=60))
        await first.stop_node("first")
        await first.begin_node("next", {})
        assert (await second.usage("w")).statements == 60
        lease = await second.extend_lease("w", LIMITS, NOTHING, Usage(statements=60))
        assert lease.granted.statements == 40

    async def test_refused_statements_count_beyond_the_lease(self, nodes: tuple[Store, Store]) -> None:
        first, second = nodes
        lease = await first.extend_lease("w", LIMITS, Usage(statements=150), NOTHING)
        assert lease.granted.statements == 150
        assert (await second.extend_lease("w", LIMITS, NOTHING, NOTHING)).granted.statements == 0

    async def test_only_windows_that_are_over_are_adopted_from_a_dead_node(self, nodes: tuple[Store, Store]) -> None:
        first, second = nodes
        over, _ = await first.admit(ALICE, POLICY, NOW)
        live, _ = await first.admit(BOB, POLICY, NOW + HOUR / 2)
        assert await second.adopt_windows(NOW + HOUR, HOUR) == [], "it is not dead yet"
        assert await second.journal_outbox() == []
        assert await second.adopt_windows(NOW + HOUR, timedelta()) == [over]
        assert await second.adopt_windows(NOW + HOUR, timedelta()) == []
        (entry,) = await second.journal_outbox()
        adopted = event_of(entry)
        assert isinstance(adopted, WindowAdopted)
        assert (adopted.window.id, adopted.node, adopted.at) == (over.id, "a", NOW + HOUR)
        assert (await first.unended(own=True), await second.unended(own=True)) == ([live], [over])
        await first.revoke(Scope(ScopeKind.WINDOW, live.id), Actor(key=ALICE, display="a", via="api"), "why", NOW)
        assert [window.id for window in await second.adopt_windows(NOW, timedelta())] == [live.id]

    async def test_what_a_process_had_that_is_known_to_have_ended_is_taken_over_whole(
        self, nodes: tuple[Store, Store]
    ) -> None:
        first, second = nodes
        run = {each.name: each.run for each in await second.nodes()}["a"]
        live, _ = await first.admit(ALICE, POLICY, NOW)
        lease = await first.extend_lease(live.id, LIMITS, NOTHING, NOTHING)
        assert await second.take_over("a", "another run", NOW) == []
        assert await first.take_over("a", run, NOW) == [], "not from itself"
        assert await second.take_over("a", run, NOW) == [live]
        assert await second.take_over("a", run, NOW) == []
        assert (await first.unended(own=True), await second.unended(own=True)) == ([], [live])
        (entry,) = await second.journal_outbox()
        adopted = event_of(entry)
        assert isinstance(adopted, WindowAdopted)
        assert (adopted.window.id, adopted.node, adopted.at) == (live.id, "a", NOW)
        assert (await second.usage(live.id)).statements == lease.granted.statements, "all that it leased is spent"
