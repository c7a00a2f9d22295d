"""What the rest of pgjit gets to know about the export."""

from __future__ import annotations

import pytest

from pgjit.app.otlp_export import exported_index
from pgjit.audit.telemetry.export_process import ExportProcess
from pgjit.audit.telemetry.export_settings import ExportSettings
from pgjit.telemetry.otlp import OtlpTarget


def _export(*, logs: bool) -> ExportProcess:
    target = OtlpTarget(endpoint="http://127.0.0.1:9")
    settings = ExportSettings(
        folder="journal", target=target, logs=logs, sample=1.0, metrics_seconds=60, version="1", node="n"
    )
    return ExportProcess(settings, bytes)


@pytest.mark.parametrize("export", [None, _export(logs=False)], ids=["no collector", "records are not sent"])
def test_where_no_records_are_sent_nothing_waits_for_the_collector(export: ExportProcess | None) -> None:
    assert exported_index(export) is None


def test_the_index_of_the_next_record_to_send_is_read_each_time() -> None:
    export = _export(logs=True)
    read = exported_index(export)
    assert read is not None
    assert read() is None  # until the process has reported one
    export.index = 7
    assert read() == 7
