"""Explanations are made one at a time, in bounded time, and for a bounded number of people."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pgjit.judging.explainer import Explainer, ExplainerUnavailable
from pgjit.judging.worker_process import WorkerDied
from pgjit.policy.policy import Policy, Preset
from pgjit.sql.catalog import Catalog
from tests.fakes.explaining import InlineExplaining
from tests.fakes.policies import policy

POLICY = policy()
LIMITS = (1000, 30.0)


class Watched(InlineExplaining):
    """Waits for `open` before each answer; counts what happens to the process."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun = asyncio.Event()
        self.deaths = 0  # to come
        self.now = self.most = self.killed = self.closed = 0
        self.ended = asyncio.Event()

    async def explain(
        self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None, text: str
    ) -> dict[str, Any]:
        await self._wait()
        return await super().explain(policy, sql, limit, catalog, text)

    async def run_tests(self, policies: Sequence[Policy], name: str, limit: int) -> dict[str, Any]:
        await self._wait()
        return await super().run_tests(policies, name, limit)

    async def _wait(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.begun.set()
        try:
            if self.deaths:
                self.deaths -= 1
                raise WorkerDied
            await self.open.wait()
        finally:
            self.now -= 1

    def kill(self) -> None:
        self.killed += 1

    async def close(self) -> None:
        self.closed += 1
        self.ended.set()


async def test_one_is_made_at_a_time_and_a_bounded_number_waits() -> None:
    worker = Watched()
    explainer = Explainer(lambda: LIMITS, worker)
    asking = [asyncio.create_task(explainer.explain(POLICY, "", b"SELECT 1", None)) for _ in range(9)]
    await worker.begun.wait()
    with pytest.raises(ExplainerUnavailable) as refused:
        await explainer.explain(POLICY, "", b"SELECT 1", None)
    assert refused.value.problem()["status"] == 503
    worker.open.set()
    assert [each["decision"] for each in await asyncio.gather(*asking)] == ["allow"] * 9
    assert (worker.most, worker.killed) == (1, 0)
    await explainer.close()


async def test_a_caller_that_goes_away_leaves_no_half_answer_for_the_next() -> None:
    worker = Watched()
    explainer = Explainer(lambda: LIMITS, worker)
    asking = asyncio.create_task(explainer.explain(POLICY, "", b"SELECT 1", None))
    await worker.begun.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert worker.killed == 1
    worker.open.set()
    assert (await explainer.explain(POLICY, "", b"DROP TABLE x", None))["decision"] == "deny"
    await explainer.close()


async def test_what_takes_too_long_is_refused_as_in_a_session() -> None:
    worker = Watched()
    explainer = Explainer(lambda: (1000, 0.0), worker)
    found = await explainer.explain(POLICY, "", b"SELECT 1", None)
    assert (found["decision"], found["violations"][0]["rule"]) == ("deny", "judging-too-long")
    assert worker.killed == 1
    full = await explainer.explain(policy(preset=Preset.FULL), "", b"SELECT 1", None)
    assert full["decision"] == "allow"
    assert "nothing is refused" in full["remarks"][0]
    await explainer.close()


async def test_a_statement_that_kills_its_process_is_refused() -> None:
    worker = Watched()
    worker.deaths = 2
    explainer = Explainer(lambda: LIMITS, worker)
    found = await explainer.explain(POLICY, "", b"SELECT 1", None)
    assert [each["rule"] for each in found["violations"]] == ["unjudgeable"]
    worker.deaths = 2
    with pytest.raises(ExplainerUnavailable):
        await explainer.run_tests([POLICY], POLICY.name)
    await explainer.close()


async def test_a_process_that_was_killed_while_it_was_idle_costs_nobody_an_answer() -> None:
    worker = Watched()
    worker.open.set()
    worker.deaths = 1
    explainer = Explainer(lambda: LIMITS, worker)
    assert (await explainer.explain(POLICY, "", b"SELECT 1", None))["decision"] == "allow"
    await explainer.close()


async def test_the_limit_is_the_one_in_force_now() -> None:
    limits = [(1000, 30.0)]
    explainer = Explainer(lambda: limits[0], InlineExplaining())
    assert (await explainer.explain(POLICY, "", b"SELECT 1", None))["decision"] == "allow"
    limits[0] = (5, 30.0)
    found = await explainer.explain(POLICY, "", b"SELECT 1", None)
    assert found["violations"][0]["rule"] == "statement-too-large"
    await explainer.close()


async def test_the_process_ends_a_while_after_the_last_question() -> None:
    worker = Watched()
    worker.open.set()
    explainer = Explainer(lambda: LIMITS, worker, idle_seconds=0)
    await explainer.explain(POLICY, "", b"SELECT 1", None)
    await worker.ended.wait()
    assert (await explainer.explain(POLICY, "", b"SELECT 1", None))["decision"] == "allow"
    await explainer.close()
