"""Lists of relations are computed once for a policy and a catalog, and one at a time."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from pgjit.api import relation_lists
from pgjit.api.relation_lists import RelationLists
from pgjit.policy.policy import StatementTerms
from pgjit.policy.relation_access import RelationAccess
from pgjit.sql.catalog import Catalog
from tests.fakes.policies import policy

POLICY = policy()
CATALOG = Catalog(server_version=180000, search_path=("public",))


class Slow:
    """Counts computations, and those under way at once."""

    def __init__(self) -> None:
        self.calls = self.now = self.most = 0
        self.gate = threading.Event()

    def __call__(self, _terms: StatementTerms, _catalog: Catalog, _most: int) -> tuple[list[RelationAccess], bool]:
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        assert self.gate.wait(60)
        self.now -= 1
        return [], False


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(relation_lists, "relations_in", made)
    return made


async def test_a_list_is_computed_once_for_a_policy_and_a_catalog(slow: Slow) -> None:
    slow.gate.set()
    lists = RelationLists()
    for _ in range(3):
        await lists.of(POLICY, CATALOG)
    assert slow.calls == 1
    await lists.of(replace(POLICY, version="other"), CATALOG)
    await lists.of(replace(POLICY, version="other"), replace(CATALOG))
    assert slow.calls == 3


async def test_one_is_computed_at_a_time_though_callers_go_away(slow: Slow) -> None:
    lists = RelationLists()
    policies = [replace(POLICY, name=f"p{n}") for n in range(3)]
    callers = [asyncio.create_task(lists.of(each, CATALOG)) for each in [*policies, *policies]]
    while slow.calls == 0:
        await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.gather(callers[0], return_exceptions=True)
    slow.gate.set()
    await asyncio.gather(*callers[1:])
    assert (slow.calls, slow.most) == (3, 1)
