"""What an export has done since it began: the report that passes between the processes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COUNTED", "ExportState"]

COUNTED = ("records", "refused", "skipped", "spans", "spans_dropped", "failures")
"""The members that only grow."""


@dataclass(slots=True)
class ExportState:
    """What the export has done since it began."""

    index: int = 0  # of the next line to send
    records: int = 0
    refused: int = 0  # records that the collector will never take
    skipped: int = 0  # lines that the journal lacks
    spans: int = 0
    spans_dropped: int = 0
    failures: int = 0  # exports that were not accepted
    fault: str | None = None  # of the last export
