"""When a segment of the journal is full: by its size, or by the age of its first record. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Rotation"]


@dataclass(frozen=True, slots=True)
class Rotation:
    bytes: int = 64 << 20
    age: timedelta = timedelta(days=1)

    def due(self, size: int, adding: int, began: datetime | None, now: datetime) -> bool:
        """Whether `adding` bytes go into the next segment. One batch of records is never divided."""
        return size > 0 and (size + adding > self.bytes or (began is not None and now - began >= self.age))
