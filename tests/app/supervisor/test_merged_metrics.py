"""Pages of metrics become one, as Prometheus's own parser reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from pgjit.app.supervisor.merged_metrics import merged
from pgjit.telemetry.metrics import Metrics
from pgjit.telemetry.prometheus import PrometheusPage

ONE = """\
# HELP a_total what it is
# TYPE a_total counter
a_total{x="1"} 2.0
# HELP b b
# TYPE b gauge
b 1.0
# TYPE target_info gauge
target_info{service="pgjit"} 1.0
# HELP only_here o
# TYPE only_here gauge
only_here{} 5.0
"""
TWO = """\
# HELP a_total what it is
# TYPE a_total counter
a_total{x="1"} 3.0
a_total{x="} 2"} 4.0
not a sample }{
# HELP b b
# TYPE b gauge
b NaN
# TYPE target_info gauge
target_info{service="pgjit"} 1.0
"""


def test_each_family_is_described_once_and_each_series_names_its_worker() -> None:
    page = merged({"1": ONE, "2": TWO})
    assert page.count("# TYPE a_total counter") == page.count("# HELP b b") == 1
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert [(sample.labels, sample.value) for sample in families["a"].samples] == [
        ({"worker": "1", "x": "1"}, 2.0), ({"worker": "2", "x": "1"}, 3.0), ({"worker": "2", "x": "} 2"}, 4.0),
    ]  # fmt: skip
    assert [sample.labels for sample in families["b"].samples] == [{"worker": "1"}, {"worker": "2"}]
    assert [sample.labels for sample in families["target_info"].samples] == [{"service": "pgjit"}]
    assert [sample.labels for sample in families["only_here"].samples] == [{"worker": "1"}]


def test_nothing_is_made_of_nothing() -> None:
    assert merged({}) == ""
    assert merged({"1": ""}) == ""


def test_pgjits_own_pages_have_every_sample_once_for_each_worker() -> None:
    metrics = Metrics()
    metrics.declare(["reader"], "1.0")
    metrics.sessions.of("reader").value = 3
    page = PrometheusPage(metrics)().decode()
    one = list(text_string_to_metric_families(page))
    both = list(text_string_to_metric_families(merged({"1": page, "3": page})))
    assert [(family.name, family.type, family.documentation) for family in both] == [
        (family.name, family.type, family.documentation) for family in one
    ]
    assert [len(family.samples) for family in both] == [2 * len(family.samples) for family in one]
    series = [(each.name, *sorted(each.labels.items())) for family in both for each in family.samples]
    assert len(set(series)) == len(series)
