"""A snapshot of the metrics in OpenTelemetry's own data model, for its exporter. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["metrics_data"]

Family = dict[str, Any]
_UNKNOWN = cast("float", None)  # the data model has no other way to leave them out


def metrics_data(families: Sequence[Family], resource: Resource, started: int, now: int) -> MetricsData:
    """`started`, `now`: nanoseconds since 1970; counters and histograms count from `started` on."""
    scope = InstrumentationScope("pgjit", str(resource.attributes.get("service.version", "")))
    metrics = [
        Metric(family["name"], family["text"], family["unit"], _data(family, started, now))
        for family in families
        if family["points"]
    ]
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, metrics, "")], "")])


def _data(family: Family, started: int, now: int) -> Sum | Gauge | Histogram:
    match family["kind"]:
        case "histogram":
            points = [
                HistogramDataPoint(
                    labels, started, now, count=sum(counts), sum=total, bucket_counts=counts,
                    explicit_bounds=family["bounds"], min=_UNKNOWN, max=_UNKNOWN,
                )
                for labels, (counts, total) in family["points"]
            ]  # fmt: skip
            return Histogram(points, AggregationTemporality.CUMULATIVE)
        case "counter":
            return Sum(_numbers(family, started, now), AggregationTemporality.CUMULATIVE, is_monotonic=True)
        case _:
            return Gauge(_numbers(family, started, now))


def _numbers(family: Family, started: int, now: int) -> list[NumberDataPoint]:
    return [NumberDataPoint(labels, started, now, value) for labels, value in family["points"]]
