"""The queues of the judge workers: their order, the time limit, and a worker that dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from pgjit.identity.identity import IdentityKey
from pgjit.judging.judge import Judgement, assess
from pgjit.judging.judge_workers import LARGE, JudgeWorkers
from pgjit.judging.worker_process import WorkerDied
from pgjit.policy.policy import Policy, Preset
from pgjit.sql.catalog import Catalog
from tests.fakes.policies import policy

POLICY, FULL = policy(), policy("full", preset=Preset.FULL)
ANN, BEN, EVE = (IdentityKey("t", name) for name in ("ann", "ben", "eve"))
LONG = b" /* " + b"x" * LARGE + b" */"


@dataclass
class Played:
    """A worker that judges when the test allows it, and dies or hangs for certain statements."""

    begun: list[bytes] = field(default_factory=list)
    starts: int = 0
    kills: int = 0
    alive: bool = False
    go: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    closed: bool = False

    async def ready(self) -> None:
        if not self.alive:
            self.starts += 1
            self.alive = True

    async def judge(self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None) -> Judgement:
        assert self.alive
        self.begun.append(sql.partition(b" /*")[0])
        await self.go.acquire()
        if b"hang" in sql:
            await asyncio.Event().wait()
        if b"die" in sql or (b"unlucky" in sql and self.starts == 1):
            raise WorkerDied
        if b"fault" in sql:
            raise ValueError("a fault of our own")
        return assess(policy, sql, limit, catalog)

    def kill(self) -> None:
        self.kills += 1
        self.alive = False

    async def close(self) -> None:
        self.closed = True


@dataclass
class Bench:
    small: Played
    large: Played
    elsewhere: JudgeWorkers
    asked: list[asyncio.Task[Judgement]] = field(default_factory=list)

    async def ask(self, who: IdentityKey, sql: bytes, policy: Policy = POLICY) -> asyncio.Task[Judgement]:
        self.asked.append(asyncio.create_task(self.elsewhere.assess(who, policy, sql, None)))
        await asyncio.sleep(0)  # it is in the queue
        return self.asked[-1]

    def let_go(self, times: int = 1_000) -> None:
        for _ in range(times):
            self.small.go.release()
            self.large.go.release()

    @property
    def begun(self) -> list[bytes]:
        return self.small.begun


@asynccontextmanager
async def bench(seconds: float = 60, *, helped: bool = False) -> AsyncIterator[Bench]:
    """`helped`: the process for large statements takes small ones; else it has one of its own that never ends."""
    workers = small, large = Played(), Played()
    made = iter(workers)
    elsewhere = JudgeWorkers(lambda: next(made), 1 << 20, seconds)
    played = Bench(small, large, elsewhere)
    if not helped:
        busy = await played.ask(EVE, b"SELECT 'hang'" + LONG)
        played.large.go.release()
    try:
        yield played
    finally:
        await elsewhere.close()
        assert all(worker.closed for worker in workers)
        await asyncio.gather(*played.asked, return_exceptions=True)
        assert all(task.done() for task in played.asked)
    if not helped:
        assert busy.cancelled()


def _sql(letter: str, number: int) -> bytes:
    return f"SELECT '{letter}{number}'".encode()


async def test_statements_are_judged_in_turns_of_their_identities() -> None:
    async with bench() as judging:
        for number in range(40):
            await judging.ask(ANN, _sql("a", number))
        await judging.ask(BEN, _sql("b", 0))
        await judging.ask(EVE, _sql("e", 0))
        await judging.ask(BEN, _sql("b", 1))
        judging.let_go()
        judgements = await asyncio.gather(*judging.asked[1:])
        assert all(judgement.allowed for judgement in judgements)
        assert judging.begun[:7] == [
            _sql("a", 0), _sql("a", 1), _sql("b", 0), _sql("e", 0), _sql("a", 2), _sql("b", 1), _sql("a", 3),
        ]  # fmt: skip


async def test_a_small_statement_does_not_wait_behind_large_ones_of_anyone() -> None:
    async with bench() as judging:
        for number in range(8):
            await judging.ask(ANN, _sql("a", number) + LONG)
        small = await judging.ask(ANN, _sql("a", 9))
        judging.small.go.release()
        assert (await small).allowed
        assert judging.large.begun == [b"SELECT 'hang'"]


async def test_the_process_for_large_ones_helps_with_small_ones_while_it_has_nothing_else() -> None:
    async with bench(helped=True) as judging:
        for number in range(3):
            await judging.ask(ANN, _sql("a", number))
        large = await judging.ask(ANN, _sql("a", 9) + LONG)
        assert (judging.small.begun, judging.large.begun) == ([_sql("a", 0)], [_sql("a", 1)])
        judging.large.go.release()
        judging.large.go.release()
        assert (await large).allowed
        assert judging.large.begun[:2] == [_sql("a", 1), _sql("a", 9)]
        judging.let_go()
        await asyncio.gather(*judging.asked)


async def test_only_the_statement_that_takes_too_long_is_refused_and_its_process_is_killed() -> None:
    async with bench(seconds=0.05, helped=True) as judging:
        slow = await judging.ask(ANN, b"SELECT 'hang'")
        judging.large.alive = True
        await judging.ask(ANN, b"SELECT 'hang' " + LONG)
        others = [await judging.ask(BEN, _sql("b", number)) for number in range(3)]
        judging.let_go()
        [violation] = (await slow).violations
        assert (violation.rule, violation.sqlstate) == ("judging-too-long", "54001")
        assert "0.05 s" in str(violation.detail)
        assert all(judgement.allowed for judgement in await asyncio.gather(*others))
        assert (judging.small.starts, judging.small.kills) == (2, 1)


async def test_a_process_that_was_killed_takes_no_statement_with_it() -> None:
    async with bench() as judging:
        unlucky = await judging.ask(ANN, b"SELECT 'unlucky'")
        judging.let_go()
        assert (await unlucky).allowed
        assert judging.small.starts == 2


async def test_a_statement_that_kills_its_process_is_refused_and_nobody_elses_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bench() as judging:
        deadly = await judging.ask(ANN, b"SELECT 'die'")
        others = [await judging.ask(BEN, _sql("b", number)) for number in range(3)]
        with caplog.at_level(logging.ERROR):
            judging.let_go()
            assert [found.rule for found in (await deadly).violations] == ["unjudgeable"]
        assert all(judgement.allowed for judgement in await asyncio.gather(*others))
        assert "a statement of 12 bytes killed the worker process twice" in caplog.text


async def test_a_fault_of_our_own_refuses_and_the_next_one_is_judged() -> None:
    async with bench() as judging:
        faulty = await judging.ask(ANN, b"SELECT 'fault'")
        sound = await judging.ask(ANN, _sql("a", 0))
        judging.let_go()
        assert [found.rule for found in (await faulty).violations] == ["unjudgeable"]
        assert (await sound).allowed


async def test_under_full_access_text_that_cannot_be_judged_runs_unparsed() -> None:
    async with bench() as judging:
        deadly = await judging.ask(ANN, b"SELECT 'die'", FULL)
        judging.let_go()
        judgement = await deadly
        assert (judgement.allowed, judgement.unread, judgement.text) == (True, True, "SELECT 'die'")


async def test_one_identity_may_not_fill_the_queue_of_the_others() -> None:
    async with bench() as judging:
        for number in range(300):
            await judging.ask(ANN, _sql("a", number))
        refused = [task for task in judging.asked if task.done()]
        assert {found.sqlstate for task in refused for found in task.result().violations} == {"53400"}
        assert len(refused) == 300 - 201  # one is being judged
        other = await judging.ask(BEN, _sql("b", 0))
        assert not other.done()
        judging.let_go()
        assert (await other).allowed


async def test_a_cancelled_statement_is_not_judged() -> None:
    async with bench() as judging:
        await judging.ask(BEN, _sql("b", 0))
        left = [await judging.ask(ANN, _sql("a", number)) for number in range(9)]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        last = await judging.ask(BEN, _sql("b", 1))
        judging.let_go()
        assert (await last).allowed
        assert judging.begun == [_sql("b", 0), _sql("b", 1)]


async def test_both_processes_are_started_before_they_are_needed() -> None:
    async with bench(helped=True) as judging:
        await judging.elsewhere.start()
        assert (judging.small.starts, judging.large.starts) == (1, 1)
