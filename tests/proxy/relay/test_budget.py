"""What a policy's limits leave: counted in the window that sessions share, refused and cut with 54000."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pgjit.grants.usage import Usage
from pgjit.policy.policy import NO_LIMITS, Limits
from pgjit.proxy.relay.budget import Budget

SECOND = 1_000_000_000


def test_without_limits_everything_fits_and_nothing_is_refused() -> None:
    budget = Budget(NO_LIMITS, Usage())
    assert not NO_LIMITS
    assert budget.room(1 << 40, 1 << 50) is None
    assert budget.refuses(1000) is None
    assert budget.overran(0, 86_400 * SECOND) is None


def test_statements_are_counted_over_all_sessions_of_a_window() -> None:
    usage = Usage()
    one, other = (Budget(Limits(window_statements=3), usage) for _ in range(2))
    assert one.refuses(2) is None
    assert other.refuses() is None
    refused = one.refuses()
    assert refused is not None
    assert (refused.rule, refused.sqlstate) == ("limit-window-statements", "54000")
    assert usage.statements == 3


def test_a_message_of_more_statements_than_are_left_runs_none_and_counts_none() -> None:
    budget = Budget(Limits(window_statements=3), Usage(statements=2))
    assert budget.refuses(2) is not None
    assert budget.usage.statements == 2
    assert budget.refuses(1) is None


@pytest.mark.parametrize(
    ("limits", "usage", "rule"),
    [
        (Limits(window_rows=10), Usage(rows=10), "limit-window-rows"),
        (Limits(window_bytes=10), Usage(bytes=11), "limit-window-bytes"),
    ],
)
def test_a_window_whose_results_are_spent_begins_nothing_more(limits: Limits, usage: Usage, rule: str) -> None:
    refused = Budget(limits, usage).refuses()
    assert refused is not None
    assert refused.rule == rule
    assert refused.hint


@pytest.mark.parametrize(
    ("limits", "usage", "room"),
    [
        (Limits(rows=10), Usage(), (7, 1 << 62)),
        (Limits(bytes=100), Usage(), (1 << 62, 60)),
        (Limits(rows=10, window_rows=100), Usage(rows=95), (5, 1 << 62)),
        (Limits(rows=10, window_rows=100, bytes=50), Usage(rows=200), (0, 10)),
    ],
)
def test_the_nearest_limit_counts(limits: Limits, usage: Usage, room: tuple[int, int]) -> None:
    assert Budget(limits, usage).room(3, 40) == room


@pytest.mark.parametrize(
    ("limits", "reference"),
    [
        (Limits(rows=5), "limit-rows"),
        (Limits(bytes=50), "limit-bytes"),
        (Limits(rows=50, window_rows=5), "limit-window-rows"),
        (Limits(rows=50, window_bytes=50), "limit-window-bytes"),
    ],
)
def test_a_cut_says_which_limit_how_much_was_given_and_what_became_of_the_statement(
    limits: Limits, reference: str
) -> None:
    budget = Budget(limits, Usage())
    budget.count(5, 50)
    error = budget.exceeded(5, 50, stopped=True)
    assert (error.reference, error.fields()["C"], error.severity) == (reference, "54000", "ERROR")
    assert error.detail is not None
    assert "5 rows" in error.detail
    assert "was cancelled" in error.detail
    assert "completed" in str(budget.exceeded(5, 50, stopped=False).detail)


def test_a_timeout_is_the_policys_only_once_its_time_is_over() -> None:
    budget = Budget(Limits(statement_time=timedelta(seconds=5)), Usage())
    assert budget.overran(SECOND, 5 * SECOND) is None
    error = budget.overran(SECOND, 6 * SECOND)
    assert error is not None
    assert error.fields()["C"] == "54000"
