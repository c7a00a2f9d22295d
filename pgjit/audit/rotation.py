"""When a segment of the journal is full: by its size, or by the age of its first record. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

__all__ = ["Rotation"]

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Rotation:
    bytes: int = 64 << 20
    age: timedelta = timedelta(days=1)
    _nanoseconds: int = field(init=False, repr=False, compare=False)  # `age`

    def __post_init__(self) -> None:
        object.__setattr__(self, "_nanoseconds", self.age // _MICROSECOND * 1000)

    def due(self, size: int, adding: int, began: int | None, now: int) -> bool:
        """Whether `adding` bytes go into the next segment. One batch of records is never divided.

        `began` and `now` are nanoseconds since 1970: a datetime takes longer to make than all the rest of this.
        """
        if size <= 0:
            return False
        return size + adding > self.bytes or (began is not None and now - began >= self._nanoseconds)
