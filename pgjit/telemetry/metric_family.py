"""A metric as plain integers: counters, gauges and histograms, each a family of series with the same label names.

Decides what one series costs and how many series a family may have. Adding to a series is one integer addition. Names
for the formats that are read from here are decided in `prometheus.py` and `otlp_metrics.py`.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

__all__ = ["OTHER", "Distribution", "HistogramFamily", "MetricText", "NumberFamily", "Series"]

OTHER = "other"
"""The label value of all series beyond the limit of their family."""

_MOST_SERIES = 500
_log = logging.getLogger("pgjit.telemetry")

T = TypeVar("T")
Labels = tuple[str, ...]
Read = Callable[[], Mapping[Labels, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricText:
    """What people read about a metric. `name` is the OpenTelemetry name, `unit` a UCUM unit."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    description: str
    labels: Labels = ()


class Series:
    """One number. Those who count hold it and add to `value`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0


class NumberFamily:
    """A counter or a gauge: series that are counted here, and numbers that are read when somebody collects them."""

    def __init__(self, text: MetricText) -> None:
        self.text = text
        self._series: dict[Labels, Series] = {}
        self._reads: list[Read] = []
        if not text.labels:
            self._series[()] = Series()

    def of(self, *labels: str) -> Series:
        """The series with these label values. It is shown from now on."""
        series = self._series.get(labels)
        return _add(self._series, self.text, labels, Series) if series is None else series

    def watch(self, read: Read) -> None:
        """Take numbers from `read` as well, at each collection. They replace series with the same labels."""
        self._reads.append(read)

    def collect(self) -> Iterator[tuple[Labels, float]]:
        numbers: dict[Labels, float] = {labels: series.value for labels, series in self._series.items()}
        for read in self._reads:
            try:
                numbers.update(read())
            except Exception:  # noqa: BLE001 - a part that cannot be read leaves the others readable
                _log.exception("metric %s cannot be read", self.text.name)
        yield from numbers.items()


class Distribution:
    """How long something took: a count for each bucket and the sum, in whole microseconds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[int]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0

    def record(self, microseconds: int) -> None:
        self.counts[bisect_left(self.bounds, microseconds)] += 1
        self.total += microseconds


class HistogramFamily:
    """A histogram of durations. `bounds`: the buckets' upper ends, in microseconds; each belongs to its bucket."""

    def __init__(self, text: MetricText, bounds: Sequence[int]) -> None:
        self.text = text
        self.bounds = tuple(bounds)
        self._series: dict[Labels, Distribution] = {}
        if not text.labels:
            self._series[()] = Distribution(self.bounds)

    def of(self, *labels: str) -> Distribution:
        """The distribution with these label values. It is shown from now on."""
        series = self._series.get(labels)
        return _add(self._series, self.text, labels, lambda: Distribution(self.bounds)) if series is None else series

    def collect(self) -> Iterator[tuple[Labels, Distribution]]:
        yield from self._series.items()


def _add(family: dict[Labels, T], text: MetricText, labels: Labels, new: Callable[[], T]) -> T:
    """Values that come from outside must not fill the memory: beyond a limit they share one series."""
    if len(labels) != len(text.labels):
        raise ValueError(f"metric {text.name} has the labels {text.labels}")
    if len(family) >= _MOST_SERIES:
        labels = tuple(OTHER for _ in labels)
    return family.setdefault(labels, new())
