"""What the story shows fits a terminal of 80 columns, and hides no time and no number."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pgjit.demo.story import journal_table

LONG = "SELECT count(*) FROM order_lines a, order_lines b, order_lines c WHERE a.id = b.id AND b.id = c.id"


@pytest.mark.parametrize("width", [80, 140])
def test_the_journal_fits_the_terminal_and_nothing_but_the_statement_is_cut(width: int) -> None:
    execution: dict[str, object] = {
        "time": "2026-11-28T19:45:12.000042Z", "decision": "allow", "execution": "s1/1",
        "statement": f"{LONG}\n  -- and more",
    }  # fmt: skip
    outcome: dict[str, object] = {"ended": "completed", "rows": 25000, "duration_us": 11_998_000}
    text = io.StringIO()
    denied = {**execution, "decision": "deny", "execution": "s1/2"}
    table = journal_table([execution, denied], {"s1/1": outcome}, {"s1": 4194304})
    Console(file=text, width=width).print(table)
    lines = text.getvalue().splitlines()
    assert len(lines) == 3
    assert max(len(line.rstrip()) for line in lines) <= width
    for value in ("19:45:12", "4194304", "allow", "completed", "25000", "11998", "SELECT count(*) FROM"):
        assert value in lines[1]
    assert "deny" in lines[2]
