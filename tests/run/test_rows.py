"""A table in one test: no row hides another, and the failure names those that failed."""

from __future__ import annotations

import pytest

from tests.run.rows import each_row, table


def _is_even(number: int) -> None:
    assert number % 2 == 0


def test_every_row_is_tried_and_those_that_fail_are_named() -> None:
    with pytest.raises(ExceptionGroup, match=r"2 of 4 rows failed:\nrow 1\nrow 3\n") as raised:
        each_row([1, 2, 3, 4], "row {}".format, _is_even)
    assert [failure.__notes__ for failure in raised.value.exceptions] == [
        ["in the row: row 1"],
        ["in the row: row 3"],
    ]


def test_rows_that_hold_are_silent() -> None:
    each_row([2, 4], str, _is_even)


def test_a_table_without_a_row_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="no row"):
        each_row([], str, _is_even)


@pytest.fixture
def limit() -> int:
    return 10


@table(("low", "high"), [(1, 2), (3, 4)], ids=["low", "high"])
@table("factor", [1, 2], ids=str)
def test_a_table_leaves_the_fixtures_to_the_runner(low: int, high: int, factor: int, limit: int) -> None:
    assert low < high
    assert high * factor < limit


def test_a_row_is_named_as_the_table_says() -> None:
    def is_two(number: int) -> None:
        assert number == 2

    for names, ids in ((["one", "two"], ["one", "two"]), (["<1>", "<2>"], "<{}>".format), (["1", "2"], None)):
        with pytest.raises(ExceptionGroup, match=f"1 of 2 rows failed:\n{names[0]}\n"):
            table("number", [1, 2], ids)(is_two)()
