"""The metrics of one moment as plain values: a line of JSON for the process that sends them."""

from __future__ import annotations

from typing import Any

import orjson

from pgjit.telemetry.metric_family import MetricText, NumberFamily
from pgjit.telemetry.metrics import Metrics

__all__ = ["snapshot"]

Family = dict[str, Any]


def snapshot(metrics: Metrics) -> bytes:
    """All numbers now, as one line of JSON."""
    families: list[Family] = []
    for family in metrics:
        text, points = family.text, list[tuple[dict[str, str], Any]]()
        made: Family = {"name": text.name, "kind": text.kind, "unit": text.unit, "text": text.description}
        if isinstance(family, NumberFamily):
            points += [(_named(text, labels), value) for labels, value in family.collect()]
        else:
            made["bounds"] = [bound / 1e6 for bound in family.bounds]
            points += [(_named(text, labels), (each.counts, each.total / 1e6)) for labels, each in family.collect()]
        families.append({**made, "points": points})
    return orjson.dumps(families)


def _named(text: MetricText, labels: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(text.labels, labels, strict=True))
