"""What the exporting process is started with: one line of JSON on its standard input.

It is not on the command line, which others on the machine may read: the headers may hold a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import orjson

from pgjit.telemetry.otlp import OtlpTarget

__all__ = ["ExportSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    folder: str  # of the journal
    target: OtlpTarget
    logs: bool
    sample: float | None  # None: no spans
    metrics_seconds: float | None  # None: no metrics
    version: str  # of pgjit
    node: str
    log_format: Literal["text", "json"] = "text"
    log_level: str = "info"

    def to_json(self) -> bytes:
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, line: bytes) -> ExportSettings:
        members = orjson.loads(line)
        return cls(**{**members, "target": OtlpTarget(**members["target"])})
