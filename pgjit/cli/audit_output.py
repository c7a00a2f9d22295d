"""Prints results of the audit as JSON and as CSV. Decides that CSV has no control characters, and no formulas."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence

from pgjit.audit.reading.values import csv_cell
from pgjit.cli.plain import plain

__all__ = ["print_csv", "print_json"]


def print_json(document: object) -> None:
    print(json.dumps(document, ensure_ascii=True, indent=2))


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_shown(csv_cell(value)) for value in row])


def _shown(text: str) -> str:
    """A text of several lines stays one cell."""
    return "\n".join(map(plain, text.split("\n")))
