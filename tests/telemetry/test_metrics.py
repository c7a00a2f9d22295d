"""The metrics: their names, and that all are there from the start."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from pgjit.telemetry import Telemetry
from pgjit.telemetry.metrics import DECISIONS, ENDINGS, OUTCOMES, Metrics
from pgjit.telemetry.prometheus import prometheus_name

_NAME = re.compile(r"pgjit(\.[a-z]+(_[a-z]+)*)+")


def test_names_follow_the_conventions() -> None:
    texts = [family.text for family in Metrics()]
    names = [prometheus_name(text) for text in texts]
    assert len(set(names)) == len(names)
    for text, name in zip(texts, names, strict=True):
        assert _NAME.fullmatch(text.name)
        assert name.endswith("_total") == (text.kind == "counter")
        assert text.unit in {"s", "By", "1"} or re.fullmatch(r"\{[a-z]+\}", text.unit)
        assert "seconds" not in text.name
        assert text.description


def test_a_series_whose_labels_are_known_shows_0_from_the_start() -> None:
    page = Telemetry(version="1.2", policies=["a", "b"]).page().decode()
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name.startswith("pgjit_") and not sample.name.endswith("_created")
    }
    assert samples.pop(("pgjit_build_info", "1.2")) == 1
    assert set(samples.values()) == {0}
    for policy in ("a", "b"):
        assert all(("pgjit_executions_total", *sorted((policy, each))) in samples for each in DECISIONS)
        assert all(("pgjit_executions_ended_total", *sorted((policy, each))) in samples for each in ENDINGS)
        assert ("pgjit_execution_duration_seconds_count", policy) in samples
    assert all(("pgjit_logins_total", outcome) in samples for outcome in OUTCOMES)
    assert ("pgjit_backends_remaining",) in samples
