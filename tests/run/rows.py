"""A table of many short cases, tried in one test: each is tried, and a failure names every one that failed.

A test of its own for each would take five times as long as the case itself.

    @table("sql", ["SELECT 1", "SELECT 2"])
    def test_it_is_read(sql: str) -> None: ...

is written as a parametrized test is, and may be turned into one where a person looks for a single row's fault.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

__all__ = ["each_row", "table"]

Test = Callable[..., None]

Row = TypeVar("Row")


def each_row(rows: Iterable[Row], name: Callable[[Row], str], check: Callable[[Row], None]) -> None:
    """Call `check` with each of them; there has to be one."""
    tried, failures = 0, []
    for row in rows:
        tried += 1
        try:
            check(row)
        except Exception as failure:  # noqa: BLE001 - all of them are raised below
            failure.add_note(f"in the row: {name(row)}")
            failures.append((name(row), failure))
    assert tried, "no row"
    if failures:
        names = "\n".join(name for name, _ in failures)
        raise ExceptionGroup(f"{len(failures)} of {tried} rows failed:\n{names}\n", [each for _, each in failures])


def table(
    arguments: str | tuple[str, ...],
    rows: Iterable[object],
    ids: Sequence[str] | Callable[..., str] | None = None,
) -> Callable[[Test], Test]:
    """As `pytest.mark.parametrize`, for a test whose fixtures serve all rows."""
    names = arguments if isinstance(arguments, tuple) else tuple(name.strip() for name in arguments.split(","))
    values = [tuple(row) if len(names) > 1 and isinstance(row, Sequence) else (row,) for row in rows]

    def name_of(number: int) -> str:
        if ids is None:
            return ", ".join(map(repr, values[number]))
        return " ".join(map(ids, values[number])) if callable(ids) else ids[number]

    def in_one(test: Test) -> Test:
        signature = inspect.signature(test)

        @functools.wraps(test)
        def tries_each(**fixtures: object) -> None:
            def check(number: int) -> None:
                test(**fixtures, **dict(zip(names, values[number], strict=True)))

            each_row(range(len(values)), name_of, check)

        left = [parameter for name, parameter in signature.parameters.items() if name not in names]
        vars(tries_each)["__signature__"] = signature.replace(parameters=left)
        return tries_each

    return in_one
