"""A table of many short cases, tried in one test: each is tried, and a failure names every one that failed.

A test of its own for each would take five times as long as the case itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

__all__ = ["each_row"]

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
