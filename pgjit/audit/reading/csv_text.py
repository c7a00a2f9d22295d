"""A result as CSV. Pure.

Decides that CSV has no control characters, no characters that hide or turn text, and no formulas.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from pgjit.audit.plain_text import plain
from pgjit.audit.reading.values import csv_cell

__all__ = ["csv_text"]


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A head of `columns`, then the rows; each line ends with a line feed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_shown(csv_cell(name)) for name in columns])
    for row in rows:
        writer.writerow([_shown(csv_cell(value)) for value in row])
    return out.getvalue()


def _shown(text: str) -> str:
    """A text of several lines stays one cell."""
    return "\n".join(map(plain, text.split("\n")))
