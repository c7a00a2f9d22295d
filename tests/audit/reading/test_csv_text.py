"""Results as CSV: a spreadsheet must take no cell for a formula, and a terminal no cell for a command."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from pgjit.audit.reading.csv_text import csv_text
from tests.run.rows import table


@table("text", ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\tx", "\rx"])
def test_a_text_that_looks_like_a_formula_is_a_text(text: str) -> None:
    [head, [cell, number]] = csv.reader(io.StringIO(csv_text([text, "n"], [[text, -7]])))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell.startswith("'")
    assert head[0].startswith("'")
    assert number == "-7"  # a number is one


def test_texts_are_cells_whatever_is_in_them() -> None:
    rows: list[list[object]] = [
        ['a,"b"\nc', None, ["x", 1]],
        ["\u202e\x1b[31m", {"a": "é"}, datetime(2026, 11, 29, tzinfo=UTC)],
    ]
    assert list(csv.reader(io.StringIO(csv_text(["x", "y", "z"], rows)))) == [
        ["x", "y", "z"],
        ['a,"b"\nc', "", '["x", 1]'],
        ["\\u202e\\u001b[31m", '{"a": "é"}', "2026-11-29T00:00:00.000000Z"],
    ]
