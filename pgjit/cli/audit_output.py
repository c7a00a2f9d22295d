"""Prints results of the audit as JSON and as CSV."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from pgjit.audit.reading.csv_text import csv_text
from pgjit.audit.reading.reader import Rows
from pgjit.audit.reading.values import as_documents

__all__ = ["print_csv", "print_json", "printed_as_data"]


def print_json(document: object) -> None:
    print(json.dumps(document, ensure_ascii=True, indent=2))


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    sys.stdout.write(csv_text(columns, rows))


def printed_as_data(rows: Rows, *, complete: bool, as_json: bool, as_csv: bool) -> bool:
    """Print rows as JSON or CSV, and return whether one of them was wanted. `complete`: the journal lacks no line."""
    if as_json:
        print_json({"items": as_documents(rows), "more": rows.more, "complete": complete})
    elif as_csv:
        print_csv(rows.columns, rows.rows)
    return as_json or as_csv
