"""Figures: what a measure found, with the spread of its rounds. Decides nothing about where they come from."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Figure", "Spread", "percentile", "spread"]


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    @property
    def share(self) -> float:
        """Half the range, as a share of the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


@dataclass(frozen=True)
class Figure:
    """One figure of one case, in each way in which it was measured."""

    case: str
    name: str
    unit: str
    ways: Mapping[str, Spread]
    why: str = ""
    """why it was not measured; then it has no ways"""

    def ratio(self, of: str, to: str) -> float | None:
        """None where there is none: one of them was not measured, or is not above zero."""
        if of not in self.ways or to not in self.ways or self.ways[to].median <= 0:
            return None
        return self.ways[of].median / self.ways[to].median


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that is not exceeded by so many of them."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
