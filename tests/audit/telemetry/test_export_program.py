"""Where an export begins: at its cursor, or at the beginning of a journal that is another one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource

from pgjit.audit.telemetry.cursor import CursorFile, ExportPosition
from pgjit.audit.telemetry.export_program import CURSOR, open_export, run_export
from pgjit.audit.telemetry.export_settings import ExportSettings
from pgjit.audit.telemetry.export_state import ExportState
from pgjit.telemetry.otlp import OtlpTarget
from tests.audit.telemetry.journal_lines import JournalFolder, execution
from tests.fakes.collector import Collector

pytestmark = pytest.mark.live


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


def settings(folder: Path, endpoint: str = "http://127.0.0.1:9") -> ExportSettings:
    return ExportSettings(
        folder=str(folder), target=OtlpTarget(endpoint=endpoint, headers={"x-key": "s3cret"}, timeout=60),
        logs=True, sample=None, metrics_seconds=None, version="1", node="n",
    )  # fmt: skip


def test_settings_pass_between_the_processes() -> None:
    made = settings(Path("/journal"))
    assert ExportSettings.from_json(made.to_json()) == made


def test_without_a_journal_there_is_nothing_to_send_yet(tmp_path: Path) -> None:
    assert open_export(settings(tmp_path / "none"), Resource({})) is None


@pytest.mark.parametrize(("origin", "begins"), [("this/0/a", 5), ("other/0/b", 0), ("", 5)])
def test_a_cursor_of_another_journal_does_not_count(tmp_path: Path, origin: str, begins: int) -> None:
    (tmp_path / "origin").write_text("this/0/a\n")
    CursorFile(tmp_path / CURSOR).write(ExportPosition(5, origin))
    export = open_export(settings(tmp_path), Resource({}))
    assert export is not None
    assert export.state.index == begins
    export.close()


def test_a_damaged_cursor_is_reported_and_nothing_is_sent_until_it_is_removed(
    tmp_path: Path, collector: Collector
) -> None:
    (tmp_path / "origin").write_text("this/0/a\n")
    JournalFolder(tmp_path).append(execution(1))
    (tmp_path / CURSOR).write_bytes(b"no cursor")
    stop, states = threading.Event(), list[ExportState]()

    def report(state: ExportState) -> None:
        states.append(ExportState(fault=state.fault, records=state.records))
        (tmp_path / CURSOR).unlink(missing_ok=True) if state.fault else stop.set()

    run_export(settings(tmp_path, collector.endpoint), Resource({}), stop, report)
    assert "is not a cursor" in (states[0].fault or "")
    assert states[-1].records == 1
    assert len(collector.logs) == 1
