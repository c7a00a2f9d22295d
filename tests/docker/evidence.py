"""What the journals of all workers show, beside the log of the server and the store: the promises of a fleet.

Decides what has to hold whatever was stopped or killed. Each function asserts, and returns what it has counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pgjit.cli.run import run
from tests.docker.balanced_nodes import BUDGET, BalancedWorld
from tests.e2e.same_executions import different_executions, sessions
from tests.e2e.server_log import ServerLog

__all__ = ["budgets_hold", "executions_are_recorded", "journals_verify", "windows_end_in_time"]

Record = dict[str, Any]


def executions_are_recorded(world: BalancedWorld, log: ServerLog) -> int:
    """Each execution in the server's log is in a journal, and no other one is. Call it when the nodes have ended."""
    journal = sessions(world.records())
    assert different_executions(journal, log.backends()) == []
    return sum(len(session.executions) for session in journal.values())


def journals_verify(world: BalancedWorld) -> None:
    for node in world.nodes:
        assert run(["audit", "verify", "--config", str(node.config)]) == 0


def budgets_hold(world: BalancedWorld) -> list[int]:
    """What was spent of each budget, over all nodes: never more than there was."""
    spent = Counter[str]()
    for each in world.records("execution"):
        if each["policy"] == "spender":
            spent[each["window"]] += each["decision"] == "allow"
    assert max(spent.values()) <= BUDGET
    return sorted(spent.values())


def windows_end_in_time(world: BalancedWorld, before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """`before` and `after`: the ends that the store has, in microseconds. Nothing was forwarded after a window's end.

    Returns how many windows there were.
    """
    assert {window: after[window] for window in before} == dict(before)
    ends: dict[str, str] = {}
    for record in world.records("window.opened", "session.opened", "window.ended"):
        window = record["window"]
        assert ends.setdefault(window["id"], window["ends_at"]) == window["ends_at"], record
    assert {window: _micros(end) for window, end in ends.items()} == {window: after[window] for window in ends}
    for each in world.records("execution"):
        assert each["decision"] != "allow" or each["time"] < ends[each["window"]], each
    return len(ends)


def _micros(moment: str) -> int:
    return (datetime.fromisoformat(moment) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
