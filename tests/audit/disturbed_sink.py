"""A journal's folder whose writes fail when a test sets so."""

from __future__ import annotations

import threading
from pathlib import Path

from pgjit.audit.segments import Segment
from pgjit.audit.sinks import SegmentSink

__all__ = ["DisturbedSink"]


class DisturbedSink(SegmentSink):
    """Its appends and flushes fail with the errors that are set; a flush waits for the gate."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path
        self.appends = 0
        self.failure: OSError | None = None
        self.flush_failure: OSError | None = None
        self.flushes = 0
        self.gate = threading.Event()
        self.gate.set()
        self.flushing = threading.Event()

    def append(self, lines: bytes) -> None:
        self.appends += 1
        if self.failure is not None:
            raise self.failure
        super().append(lines)

    def probe(self) -> None:
        if self.failure is not None:
            raise self.failure
        super().probe()

    def flush(self) -> tuple[Segment, ...]:
        self.flushes += 1
        self.flushing.set()
        assert self.gate.wait(60)
        if self.flush_failure is not None:
            raise self.flush_failure
        return super().flush()
