"""The lease of a window on a node: spent without the store, extended before it is short, given back at the end."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from pgjit.grants.stores.sql import SqlStore
from pgjit.grants.stores.sqlite_database import SqliteDatabase
from pgjit.grants.usage import Usage
from pgjit.policy.policy import Limits
from pgjit.proxy.leased_traffic import LeasedTraffic
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.window.leases import Leases, WindowLease
from pgjit.server.link import Link
from pgwire.framing import Frame
from pgwire.messages.query import encode_query
from tests.run.waiting import until

LIMITS = Limits(window_statements=100)
QUERY = [Frame(ord("Q"), encode_query(b"SELECT 1"))]


class Piece(NamedTuple):
    rows: int
    bytes: int = 0


@pytest.fixture
async def server() -> AsyncIterator[Link]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        link = Link(ours)
        yield link
        await link.close()


def traffic(
    lease: WindowLease, server: Link, count: Callable[[Piece], None] = lambda _: None
) -> LeasedTraffic[Piece]:
    """The traffic of a session whose server sends as many rows as bytes."""
    over = asyncio.get_running_loop().create_future()
    return LeasedTraffic(lease, over, server, lambda data: Piece(len(data)), count, lambda: None)


class Counting(SqlStore):
    calls = 0

    async def extend_lease(self, *args: object, **rest: object):  # type: ignore[no-untyped-def]
        self.calls += 1
        return await super().extend_lease(*args, **rest)  # type: ignore[arg-type]


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[tuple[Counting, Counting]]:
    made = tuple(Counting(SqliteDatabase(tmp_path / "w.sqlite3", shared=True), node=name) for name in "ab")
    for each in made:
        await each.open()
    yield made[0], made[1]
    for each in made:
        await each.close()


async def lease_of(store: SqlStore, steady: float = 0.0) -> tuple[Leases, WindowLease, Budget]:
    leases = Leases(store, lambda: steady)
    await leases.take("w", LIMITS)
    lease = leases.of("w")
    assert lease is not None
    return leases, lease, Budget(LIMITS, lease.usage)


async def test_statements_within_the_lease_need_no_store(stores: tuple[Counting, Counting]) -> None:
    _, lease, budget = await lease_of(stores[0])
    calls = stores[0].calls
    for _ in range(2):
        assert lease.covers(statements=1)
        assert budget.refuses(1) is None
    assert stores[0].calls == calls
    assert budget.refuses(5) is not None, "not more than is leased"


async def test_the_next_lease_is_taken_before_the_first_is_spent(stores: tuple[Counting, Counting]) -> None:
    _, lease, budget = await lease_of(stores[0])
    assert budget.refuses(3) is None
    assert lease.covers(statements=1), "1 of 4 is left, and nobody waits"
    async with asyncio.timeout(60):
        await until(lambda: lease.covers(statements=4))


async def test_a_large_batch_gets_what_it_needs_and_two_nodes_share_the_budget(
    stores: tuple[Counting, Counting],
) -> None:
    _, first, of_first = await lease_of(stores[0])
    leases, second, of_second = await lease_of(stores[1])
    assert not first.covers(statements=96)
    await first.extend(statements=96)
    assert of_first.refuses(96) is None
    assert of_first.refuses(1) is not None
    await second.extend(statements=50)
    assert of_second.refuses(4) is None
    refused = of_second.refuses(1)
    assert refused is not None
    assert "96 of them are leased to other nodes" in (refused.detail or "")
    assert second.usage.statements == 100
    await leases.give_back_unused(lambda _: False)
    assert await stores[0].usage("w") == Usage(statements=4)


async def test_what_is_given_back_can_be_leased_by_another_node_and_again(stores: tuple[Counting, Counting]) -> None:
    leases, first, of_first = await lease_of(stores[0])
    await first.extend(statements=100)
    assert of_first.refuses(10) is None
    await leases.give_back_unused(lambda _: True)
    assert (await stores[1].usage("w")).statements == 0, "it is in use"
    await leases.give_back_unused(lambda _: False)
    assert of_first.refuses(1) is not None, "nothing is leased now"
    _, second, of_second = await lease_of(stores[1])
    await second.extend(statements=80)
    assert of_second.refuses(80) is None
    await leases.take("w", LIMITS)
    await first.extend(statements=10)
    assert of_first.refuses(10) is None
    assert of_first.refuses(1) is not None


async def test_sessions_that_wait_for_the_same_lease_spend_the_whole_budget(
    stores: tuple[Counting, Counting], server: Link
) -> None:
    _, lease, budget = await lease_of(stores[0])

    async def spend() -> int:
        session = traffic(lease, server)
        for spent in itertools.count():
            await session.before(QUERY)
            if budget.refuses(1) is not None:
                return spent
        raise AssertionError("the budget has no end")

    async with asyncio.timeout(60):
        spent = await asyncio.gather(*(spend() for _ in range(12)))
    assert sum(spent) == 100, spent


async def test_what_is_spent_while_the_store_answers_is_no_end_of_the_budget(
    stores: tuple[Counting, Counting],
) -> None:
    _, lease, budget = await lease_of(stores[0])
    extending = asyncio.create_task(lease.extend())  # all of the first lease is left: it gets nothing more
    await asyncio.sleep(0)
    assert budget.refuses(4) is None
    await extending
    assert not lease.covers(statements=1), "more is free"
    await lease.extend(statements=96)
    assert budget.refuses(96) is None
    await lease.extend(statements=1)
    assert lease.covers(statements=1), "nothing is free: the limit applies as it is"
    assert budget.refuses(1) is not None


async def test_results_that_wait_for_the_same_lease_are_passed_on_when_they_are_leased(
    stores: tuple[Counting, Counting], server: Link
) -> None:
    leases = Leases(stores[0], lambda: 0.0)
    await leases.take("w", Limits(window_rows=100))
    lease = leases.of("w")
    assert lease is not None
    beyond = []

    def count(piece: Piece) -> None:
        lease.usage.rows += piece.rows
        beyond.append(lease.usage.rows > lease.usage.most.rows)

    for _ in range(25):
        traffic(lease, server, count).from_server(b"rows")
    async with asyncio.timeout(60):
        await until(lambda: len(beyond) == 25)
    assert not any(beyond)


async def test_without_the_store_the_lease_is_spent_and_no_more(stores: tuple[Counting, Counting]) -> None:
    leases, lease, budget = await lease_of(stores[0])
    await stores[0].close()
    await lease.extend(statements=50)
    assert budget.refuses(4) is None
    refused = budget.refuses(1)
    assert refused is not None
    assert "window store was not reached" in (refused.detail or "")
    assert lease.covers(statements=1), "asked a moment ago: the limit applies as it is"
    await leases.forget("w")  # it counts as spent


async def test_a_store_of_one_node_leases_nothing(tmp_path: Path) -> None:
    alone = Leases(SqlStore(SqliteDatabase(tmp_path / "w.sqlite3")), lambda: 0.0)
    await alone.take("w", LIMITS)
    assert alone.of("w") is None
