"""What a proxy adds to the latency of a single client, at the median and at the 99th percentile."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bed import DIRECT, Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure, Spread, percentile, spread
from tests.bench.load import Load, run_load

__all__ = ["CASES", "measure"]

CASES = ("latency",)
_LOAD = Load(("-S", "-M", "prepared"), 1)
_PERCENTILES = {"p50": 0.50, "p99": 0.99}


def measure(bed: Bed, effort: Effort) -> Iterator[Figure]:
    for case in effort.chosen(CASES):
        samples: dict[str, list[tuple[int, ...]]] = {way: [] for way in bed.ways}
        for way in effort.interleaved(bed.ways, case):
            samples[way].append(run_load(bed, way, _LOAD, effort, latencies=True).latencies)
        for name, share in _PERCENTILES.items():
            ways = {way: spread([percentile(each, share) for each in samples[way]]) for way in bed.ways}
            yield Figure(case, name, "µs", ways)
            if DIRECT in ways:
                added = {way: _above(value, ways[DIRECT].median) for way, value in ways.items() if way != DIRECT}
                yield Figure(case, f"{name} added", "µs", added)


def _above(value: Spread, direct: float) -> Spread:
    return Spread(value.median - direct, value.low - direct, value.high - direct)
