"""What is wrong with a segment, and where. Decides the words of it."""

from __future__ import annotations

__all__ = ["SegmentDamaged"]


class SegmentDamaged(ValueError):
    """A segment does not hold what it should. `line`: how many of its lines were read before the damage."""

    def __init__(self, name: str, line: int, why: str) -> None:
        super().__init__(f"{name}, after its line {line}: {why}")
        self.name = name
        self.line = line
        self.why = why
