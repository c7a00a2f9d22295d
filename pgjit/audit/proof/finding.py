"""What a verification finds, and where. Decides which findings there are, and their words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FindingKind", "ProofFinding"]

FindingKind = Literal[
    "checkpoint-rejected",  # it cannot be read, or is not signed by the given key
    "checkpoint-missing",  # there are lines, and no checkpoint
    "not-witnessed",  # no checkpoint has the signature of a witness that was given
    "other-origin",  # a checkpoint or a key belongs to another journal
    "changed",  # a line differs from the one that was signed
    "removed",
    "added",
    "moved",  # a line or a segment is in another place
    "root-differs",  # some line differs; which one cannot be known
    "cut",  # fewer lines than a checkpoint covers
    "segment-missing",
    "segment-damaged",
    "not-a-record",
    "result-differs",  # a kept result is not there, or is not the one whose digest its record has
    "sequence",  # the numbers of the records go back, repeat or jump
]


@dataclass(frozen=True, slots=True)
class ProofFinding:
    """`line` counts from 1 in the segment, as an editor does; `seq` is the number that the record bears."""

    kind: FindingKind
    message: str
    segment: str | None = None
    line: int | None = None
    seq: int | None = None
    index: int | None = None
    """The line's number in the whole journal, from 0."""

    @property
    def place(self) -> str:
        """`SEGMENT:LINE`, as far as it is known."""
        if self.segment is None:
            return ""
        return self.segment if self.line is None else f"{self.segment}:{self.line}"
