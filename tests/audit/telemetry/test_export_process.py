"""The exporting process: records and metrics arrive, it is started again, and holds up nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgjit.audit.telemetry.export_process import ExportProcess
from pgjit.audit.telemetry.export_settings import ExportSettings
from pgjit.telemetry import Telemetry
from pgjit.telemetry.metric_snapshot import snapshot
from pgjit.telemetry.otlp import OtlpTarget
from tests.audit.telemetry.journal_lines import JournalFolder, execution, opened, outcome
from tests.fakes.collector import Collector, attributes_of
from tests.run.waiting import until

pytestmark = pytest.mark.live


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


def _process(folder: Path, collector: Collector, telemetry: Telemetry, timeout: float = 60) -> ExportProcess:
    settings = ExportSettings(
        folder=str(folder), target=OtlpTarget(endpoint=collector.endpoint, timeout=timeout), logs=True, sample=1.0,
        metrics_seconds=3600, version="1.2", node="node-1", log_level="error",
    )  # fmt: skip
    return ExportProcess(settings, lambda: snapshot(telemetry.metrics))


async def test_it_sends_what_is_written_goes_on_after_a_kill_and_ends_with_its_parent(
    tmp_path: Path, collector: Collector
) -> None:
    telemetry = Telemetry(version="1.2", policies=["reader"])
    telemetry.session_opened("reader")
    telemetry.backend_stopped(7, gone=True)
    export = _process(tmp_path, collector, telemetry)
    async with export.running():
        (tmp_path / "origin").write_text("node-1/0/abcdefgh\n")  # the journal is made after it
        journal = JournalFolder(tmp_path)
        journal.append(opened(), execution(1), outcome(1))
        await until(lambda: export.totals["records"] == 3)
        export.send_metrics()
        await until(lambda: collector.metrics)
        assert export.dependency.up
        assert export.pid is not None
        os.kill(export.pid, signal.SIGKILL)
        journal.append(execution(2))
        await until(lambda: export.totals["records"] == 4)
        journal.append(outcome(2))
    bodies = [record.body.string_value.encode() for record in collector.logs]
    assert bodies == journal.lines  # the last one, too
    assert [span.name for span in collector.spans] == ["SELECT public.orders"] * 2
    assert export.pid is not None

    metrics = {metric.name: metric for metric in collector.metrics}
    assert set(metrics) == {family.text.name for family in telemetry.metrics if list(family.collect())}
    (sessions,) = metrics["pgjit.sessions"].gauge.data_points
    assert (attributes_of(sessions.attributes), sessions.as_double or sessions.as_int) == ({"policy": "reader"}, 1)
    histogram = metrics["pgjit.session.end.duration"].histogram
    ends = {each.attributes[0].value.string_value: each for each in histogram.data_points}
    assert (ends["true"].count, ends["true"].sum, ends["false"].count) == (1, 0.007, 0)
    assert metrics["pgjit.session.end.duration"].unit == "s"
    assert metrics["pgjit.logins"].sum.is_monotonic
    resource = attributes_of(collector.resources[0].attributes)
    assert (resource["service.name"], resource["service.version"]) == ("pgjit", "1.2")


async def test_a_collector_that_hangs_holds_up_neither_the_parent_nor_its_end(
    tmp_path: Path, collector: Collector
) -> None:
    telemetry = Telemetry(version="1.2")
    (tmp_path / "origin").write_text("node-1/0/abcdefgh\n")
    journal = JournalFolder(tmp_path)
    journal.append(opened())
    collector.hanging.set()
    export = _process(tmp_path, collector, telemetry, timeout=2)
    async with asyncio.timeout(60):
        async with export.running():
            await until(lambda: not export.dependency.up)
            for _ in range(2000):  # more than a pipe holds
                export.send_metrics()
            assert export.totals["records"] == 0
    collector.released.set()
    assert collector.logs == []
