"""Two nodes behind HAProxy are restarted one after the other under load, with a reload in the middle: nobody notices.

No new connection fails, each statement is recorded, no budget is overspent, and each cancel request and each
revocation reaches its sessions. The figures are printed.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pgjit.demo.database import DemoDatabase
from tests.docker.agents import Agents
from tests.docker.balanced_nodes import BUDGET, BalancedWorld, Connection, ServedNode, balanced
from tests.docker.evidence import budgets_hold, executions_are_recorded, journals_verify, windows_end_in_time
from tests.docker.killable_store import killable_store
from tests.e2e.reloading import edit_policy
from tests.e2e.server_log import logging_all
from tests.e2e.worlds import add_reader
from tests.run.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.live, pytest.mark.timeout(1500)]
VISITORS, CANCELLERS = 2, 2
PROGRESS = {"visits": 20, "pgbench transactions": 20, "cancels": 12, "budgets": 1, "revocations": 2}
OPEN = "access: read-only\n"
DENY = "access: read-only\n  deny: [{columns: [customers.email]}]\n"


async def test_a_rolling_restart_and_a_reload_are_noticed_by_nobody(database: DemoDatabase, tmp_path: Path) -> None:
    async with (
        logging_all(database) as log,
        killable_store() as store,
        balanced(database, tmp_path, store) as world,
    ):
        agents = Agents(world)
        agents.begin(*(agents.visit(number) for number in range(VISITORS)), agents.benchmark())
        agents.begin(*(agents.cancel() for _ in range(CANCELLERS)), agents.spend(), agents.revoke())
        first, second = world.nodes
        try:
            await agents.more(**PROGRESS)
            before = store.window_ends()
            await _restart(world, first)
            await agents.more(**PROGRESS)
            await _reload(world, agents)
            await agents.more(**PROGRESS)
            await _restart(world, second)
            await agents.more(**PROGRESS)
            await agents.stop()
        finally:
            await agents.give_up()
        assert agents.refused == []
        assert agents.faults == []
        cancels = [await _cancels(node) for node in world.nodes]
        for found in ("here", "worker", "node"):
            assert any(each[found] for each in cancels), (
                f"no cancel request was for a session that was {found}: {cancels}"
            )
        await world.stop_nodes()
        spent = budgets_hold(world)
        assert spent[0] > BUDGET // 2, "nobody was refused while much was left"
        figures = {
            **agents.figures,
            "executions": executions_are_recorded(world, log),
            "windows": windows_end_in_time(world, before, store.window_ends()),
            "spent of budgets": spent,
            "where sessions to cancel were, since the last restart": [dict(each) for each in cancels],
        }
        journals_verify(world)
        _both_served(world)
        print(f"a rolling restart: {figures}")


async def _restart(world: BalancedWorld, node: ServedNode) -> None:
    await node.stop()
    await node.start()
    await world.balancer.until_up()


async def _reload(world: BalancedWorld, agents: Agents) -> None:
    """A column is denied, at both nodes, to sessions that are open and to new ones."""
    token = await world.token(add_reader(world))
    earlier = [await _reads(agents, token) for _ in range(4)]
    edit_policy(world, "reader", OPEN, DENY)
    for node in world.nodes:
        assert node.process is not None
        os.kill(node.process.pid, signal.SIGHUP)
    async with asyncio.timeout(120):
        await until(lambda: all(_reloaded(node) for node in world.nodes), 120)
    later = [await agents.connected(token, "reader") for _ in range(4)]
    for each in (*earlier, *later):
        assert each is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await each.execute("SELECT email FROM customers LIMIT 1")
        await each.close()


async def _reads(agents: Agents, token: str) -> Connection:
    opened = await agents.connected(token, "reader")
    assert opened is not None
    await opened.execute("SELECT email FROM customers LIMIT 1")
    return opened


def _reloaded(node: ServedNode) -> bool:
    """Both of its workers have the new policies."""
    return len(node.records("config.reloaded")) >= 2


async def _cancels(node: ServedNode) -> Counter[str]:
    """By where their sessions were found, seen from the worker that they came to."""
    found = Counter[str]()
    for family in text_string_to_metric_families((await node.page("/metrics"))[1]):
        if family.name == "pgjit_cancels":
            for sample in family.samples:
                if sample.name == "pgjit_cancels_total":
                    found[sample.labels["found"]] += int(sample.value)
    return found


def _both_served(world: BalancedWorld) -> None:
    for node in world.nodes:
        assert {each["node"] for each in node.records("session.opened")} >= {f"{node.server}.{n}" for n in (1, 2)}
    for each in world.records("session.opened"):
        assert each["source"] != each["balancer"]["source"]  # the client's port, and the balancer's
