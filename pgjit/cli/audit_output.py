"""Prints results of the audit as JSON and as CSV. Decides that CSV has no control characters, and no formulas."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence

from pgjit.audit.reading.reader import Rows
from pgjit.audit.reading.values import as_documents, csv_cell
from pgjit.cli.plain import plain

__all__ = ["print_csv", "print_json", "printed_as_data"]


def print_json(document: object) -> None:
    print(json.dumps(document, ensure_ascii=True, indent=2))


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_shown(csv_cell(value)) for value in row])


def printed_as_data(rows: Rows, *, complete: bool, as_json: bool, as_csv: bool) -> bool:
    """Print rows as JSON or CSV, and return whether one of them was wanted. `complete`: the journal lacks no line."""
    if as_json:
        print_json({"items": as_documents(rows), "more": rows.more, "complete": complete})
    elif as_csv:
        print_csv(rows.columns, rows.rows)
    return as_json or as_csv


def _shown(text: str) -> str:
    """A text of several lines stays one cell."""
    return "\n".join(map(plain, text.split("\n")))
