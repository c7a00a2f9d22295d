"""The metrics in Prometheus's text format, for /metrics.

Decides the name of each metric there: dots become underscores, then comes the unit, and `_total` ends a counter's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pgjit.telemetry.metric_family import Distribution, HistogramFamily, MetricText, NumberFamily

__all__ = ["CONTENT_TYPE", "PrometheusPage", "prometheus_name"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

_UNITS = {"s": "seconds", "By": "bytes"}


def prometheus_name(text: MetricText) -> str:
    """The name under which the metric is queried; a histogram's series add `_bucket`, `_sum` and `_count`."""
    name = text.name.replace(".", "_")
    unit = _UNITS.get(text.unit)
    name = name if unit is None else f"{name}_{unit}"
    return f"{name}_total" if text.kind == "counter" else name


class PrometheusPage(Collector):
    """The page at /metrics: pgjit's metrics, and those of its process (memory, file descriptors, CPU)."""

    def __init__(self, metrics: Iterable[NumberFamily | HistogramFamily]) -> None:
        self._metrics = metrics
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def __call__(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        for family in self._metrics:
            yield _numbers(family) if isinstance(family, NumberFamily) else _histogram(family)

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry needs no names beforehand."""
        return iter(())


def _numbers(family: NumberFamily) -> Metric:
    text = family.text
    new = CounterMetricFamily if text.kind == "counter" else GaugeMetricFamily
    metric = new(prometheus_name(text), text.description, labels=text.labels)
    for labels, value in family.collect():
        metric.add_metric(labels, value)
    return metric


def _histogram(family: HistogramFamily) -> Metric:
    text = family.text
    metric = HistogramMetricFamily(prometheus_name(text), text.description, labels=text.labels)
    for labels, distribution in family.collect():
        metric.add_metric(labels, _buckets(distribution), distribution.total / 1e6)
    return metric


def _buckets(distribution: Distribution) -> list[tuple[str, float]]:
    """Prometheus's buckets are cumulative."""
    seen, buckets = 0, []
    ends = [*(f"{bound / 1e6:g}" for bound in distribution.bounds), "+Inf"]
    for end, count in zip(ends, distribution.counts, strict=True):
        seen += count
        buckets.append((end, float(seen)))
    return buckets
