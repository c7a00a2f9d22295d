"""A real worker process gives the judge's judgements; catalogs and policies are sent once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from pgjit.judging.explanation import explained
from pgjit.judging.judge import assess
from pgjit.judging.judgement import without_facts
from pgjit.judging.policy_tests import results_of_tests
from pgjit.judging.worker_process import WorkerDied, WorkerProcess
from tests.fakes.policies import policy
from tests.judging.test_policy_tests import folder
from tests.sql.snapshots import stored_catalog

POLICY = policy()
CATALOG = stored_catalog()
SQL = [b"SELECT 1", b"SELECT * FROM no_such_table", b"DROP TABLE x", b"SELECT '", b"\xff", b"", b"SELECT 1; SELECT 2"]


class Watched(WorkerProcess):
    """Records the messages it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    async def _send(self, message: Sequence[Any]) -> None:
        self.sent.append(message[0])
        await super()._send(message)


@pytest.fixture
async def process() -> AsyncIterator[Watched]:
    process = Watched()
    async with asyncio.timeout(120):
        yield process
    await process.close()


@pytest.mark.parametrize("catalog", [None, CATALOG], ids=["no catalog", "a catalog"])
async def test_it_judges_as_the_event_loop_would(process: Watched, catalog: Any) -> None:
    for sql in SQL:
        assert await process.judge(POLICY, sql, 1000, catalog) == without_facts(assess(POLICY, sql, 1000, catalog))


async def test_catalogs_and_policies_are_sent_once(process: Watched) -> None:
    for _ in range(3):
        await process.judge(POLICY, SQL[0], 1000, CATALOG)
    assert [process.sent.count(what) for what in ("policy", "catalog", "judge")] == [1, 1, 3]
    other = replace(CATALOG, encoding="LATIN1")
    await process.judge(POLICY, SQL[0], 1000, other)
    await process.judge(replace(POLICY, version="1"), SQL[0], 1000, CATALOG)
    assert [process.sent.count(what) for what in ("policy", "catalog")] == [2, 2]


async def test_the_least_recently_used_policy_is_evicted_and_sent_again(process: Watched) -> None:
    catalogs = [replace(CATALOG, relations={}, database=f"d{number}") for number in range(9)]
    for catalog in (*catalogs[:8], catalogs[0], catalogs[8], catalogs[0]):
        await process.judge(POLICY, SQL[0], 1000, catalog)
    assert process.sent.count("catalog") == 9
    await process.judge(POLICY, SQL[0], 1000, catalogs[1])
    assert process.sent.count("catalog") == 10
    for number in range(40):
        await process.judge(replace(POLICY, version=str(number)), SQL[0], 1000, None)
    await process.judge(POLICY, SQL[0], 1000, None)
    assert process.sent.count("policy") == 42


async def test_a_killed_process_raises_and_the_next_statement_gets_a_new_one(process: Watched) -> None:
    await process.judge(POLICY, SQL[0], 1000, CATALOG)
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with suppress(WorkerDied):  # or it was seen in time
        await process.judge(POLICY, SQL[0], 1000, CATALOG)
    assert (await process.judge(POLICY, SQL[0], 1000, CATALOG)).allowed
    assert process.pid != first
    assert process.sent.count("catalog") >= 2


async def test_one_that_is_stopped_in_the_middle_is_replaced(process: Watched) -> None:
    await process.ready()
    first = process.pid
    judging = asyncio.create_task(process.judge(POLICY, b"SELECT 1" + b" + 1" * 100_000, 1 << 20, None))
    while "judge" not in process.sent:
        await asyncio.sleep(0)
    process.kill()
    with pytest.raises(WorkerDied):
        await judging
    assert (await process.judge(POLICY, SQL[0], 1000, None)).allowed
    assert process.pid != first


async def test_nothing_is_left_of_it(process: Watched) -> None:
    await process.ready()
    assert process.pid is not None
    running = psutil.Process(process.pid)
    assert running.nice() > psutil.Process().nice() or psutil.Process().nice() == 19
    await process.close()
    assert not running.is_running()
    assert process.pid is None


async def test_it_explains_and_runs_tests_as_the_command_does(process: Watched, tmp_path: Path) -> None:
    policies = folder(tmp_path)
    reader, text = policies["reader"], policies.texts["reader"]
    for sql in (b"SELECT * FROM public.salaries", b"DROP TABLE x", b"\xff", b"SELECT 'a\x00b'"):
        assert await process.explain(reader, sql, 1000, CATALOG, text) == explained(reader, sql, 1000, CATALOG, text)
    found = await process.run_tests(list(policies.values()), "reader", 1000)
    assert found == results_of_tests(policies, "reader", 1000)
    assert [process.sent.count(what) for what in ("policy", "catalog", "explain", "tests")] == [1, 1, 4, 1]
