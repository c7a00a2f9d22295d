"""The page at /metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from pgjit.telemetry import Telemetry


def test_histograms_are_cumulative_and_in_seconds() -> None:
    telemetry = Telemetry(version="1")
    telemetry.backend_stopped(3, gone=True)
    telemetry.backend_stopped(7000, gone=True)
    page = telemetry.page().decode()
    (family,) = (
        each for each in text_string_to_metric_families(page) if each.name == "pgjit_session_end_duration_seconds"
    )
    samples = {
        (sample.name.rpartition("_")[2], sample.labels.get("le")): sample.value
        for sample in family.samples
        if sample.labels["gone"] == "true"
    }
    assert samples["bucket", "0.0025"] == 0
    assert samples["bucket", "0.005"] == 1
    assert samples["bucket", "10"] == 2
    assert samples["bucket", "+Inf"] == samples["count", None] == 2
    assert samples["sum", None] == 7.003


def test_two_pages_are_independent() -> None:
    one, other = Telemetry(version="1"), Telemetry(version="1")
    one.login("opened")
    assert 'pgjit_logins_total{outcome="opened"} 1.0' in one.page().decode()
    assert 'pgjit_logins_total{outcome="opened"} 0.0' in other.page().decode()
    assert "process_resident_memory_bytes" in one.page().decode()
