"""Leases of a budget over nodes that spend, stop, and are killed: together they never spend more than the budget."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from pgjit.grants.lease import next_share, share_of
from pgjit.grants.stores.lease_rows import extend_lease, give_lease_back, settle_leases, usage_of
from pgjit.grants.stores.schema import metadata
from pgjit.grants.usage import Usage
from pgjit.policy.policy import Limits

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["lease", "spend", "spend", "give back", "die", "commit is doubtful"]),
        st.integers(0, 40),
    ),
    max_size=60,
)


def _connections() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@settings(max_examples=30)
@given(STEPS, st.integers(0, 120))
def test_all_nodes_together_never_spend_more_than_the_budget(steps: list[tuple[str, str, int]], budget: int) -> None:
    _never_more_than(steps, budget)


@pytest.mark.slow
@settings(max_examples=1_000)
@given(STEPS, st.integers(0, 120))
def test_nor_in_many_runs(steps: list[tuple[str, str, int]], budget: int) -> None:
    _never_more_than(steps, budget)


def _never_more_than(steps: list[tuple[str, str, int]], budget: int) -> None:
    limits, total = Limits(window_statements=budget), 0
    spent, granted = dict.fromkeys("abc", 0), dict.fromkeys("abc", 0)  # as each node counts them itself
    for connection in _connections():
        for node, step, amount in steps:
            if step == "spend":
                used = min(amount, granted[node] - spent[node])
                spent[node] += used
                total += used
            elif step in ("lease", "commit is doubtful"):
                need = Usage(statements=amount)
                lease = extend_lease(connection, node, "w", limits, Usage(statements=spent[node]), need)
                if step == "lease":
                    granted[node] = lease.granted.statements
            else:
                if step == "give back":
                    give_lease_back(connection, node, "w", Usage(statements=spent[node]))
                else:
                    settle_leases(connection, node)
                spent[node] = granted[node] = 0
            assert total <= budget
        for node in "abc":
            give_lease_back(connection, node, "w", Usage(statements=spent[node]))
        assert total <= usage_of(connection, "w").statements <= budget


@given(st.integers(1, 1000), st.integers(0, 1000), st.integers(0, 100), st.integers(0, 1000))
def test_a_share_is_a_few_per_cent_or_what_is_needed_of_what_is_free(
    budget: int, free: int, unspent: int, need: int
) -> None:
    more = next_share(budget, free, unspent, need)
    assert 0 <= more <= free
    assert more + unspent >= min(free, max(need, share_of(budget)))
    assert share_of(budget) == 1 or share_of(budget) <= budget * 0.05
