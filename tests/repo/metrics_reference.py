"""Writes the table of the metrics into docs/metrics.md, from `pgjit/telemetry/metrics.py`.

Run by `make docs`; `test_docs.py` fails when the page is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pgjit.telemetry.metric_family import MetricText
from pgjit.telemetry.metrics import Metrics
from pgjit.telemetry.prometheus import prometheus_name

__all__ = ["PAGE", "rewritten"]

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_BEGIN = "<!-- begin: written by `make docs` from pgjit/telemetry/metrics.py -->"
_END = "<!-- end -->"


def rewritten(page: str) -> str:
    """`page` with the table of today's metrics between its two marks."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError("the page has lost the marks between which the table is written")
    rows = [_row(family.text) for family in Metrics()]
    head = ["| Prometheus | OpenTelemetry | kind | labels | meaning |", "|---|---|---|---|---|"]
    return f"{before}{begin}\n\n" + "\n".join([*head, *rows]) + f"\n\n{end}{after}"


def _row(text: MetricText) -> str:
    labels = ", ".join(f"`{label}`" for label in text.labels)
    return f"| `{prometheus_name(text)}` | `{text.name}`, {text.unit} | {text.kind} | {labels} | {text.description} |"


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.name}\n")
