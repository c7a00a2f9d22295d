"""The journal at a collector: each record at least once, whatever happens to collector, process and files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.sdk.resources import Resource

from pgjit.audit.segments.journal_tail import JournalTail
from pgjit.audit.telemetry.cursor import CursorFile
from pgjit.audit.telemetry.journal_export import JournalExport
from pgjit.telemetry.otlp import OtlpTarget
from tests.audit.telemetry.journal_lines import SESSION, JournalFolder, execution, opened, outcome
from tests.fakes.collector import Collector, attributes_of

pytestmark = [
    pytest.mark.live,
    # The SDK's client logs what it does itself.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


@pytest.fixture
def journal(tmp_path: Path) -> JournalFolder:
    return JournalFolder(tmp_path)


def started(
    journal: JournalFolder, collector: Collector, *, sample: float | None = None, timeout: float = 60
) -> JournalExport:
    """The export of a new process: it knows what the cursor's file says, and nothing else."""
    cursor = CursorFile(journal.path / "otlp-cursor")
    position = cursor.read()
    position.origin = "node/0/x"
    target = OtlpTarget(endpoint=collector.endpoint, headers={"x-key": "secret"}, timeout=timeout)
    resource = Resource({"service.name": "pgjit", "service.version": "1"})
    return JournalExport(
        JournalTail(journal.path, position.index),
        cursor,
        position,
        target,
        resource,
        sample=sample,
        now=lambda: 10**18,
    )


def run(export: JournalExport) -> None:
    while export.step():
        pass


def bodies(collector: Collector) -> list[bytes]:
    return [record.body.string_value.encode() for record in collector.logs]


def test_records_are_log_events_with_the_line_itself(journal: JournalFolder, collector: Collector) -> None:
    journal.append(opened(), execution(1), outcome(1))
    export = started(journal, collector)
    run(export)
    export.close()
    assert bodies(collector) == journal.lines
    first, second, third = collector.logs
    assert [each.event_name for each in collector.logs] == [
        "pgjit.session.opened",
        "pgjit.execution",
        "pgjit.outcome",
    ]
    assert first.severity_text == "INFO"
    assert second.time_unix_nano == 1_795_946_400_002_000_000
    assert second.observed_time_unix_nano == 10**18
    assert attributes_of(second.attributes) == {
        "log.record.uid": "node/0/x/1", "pgjit.seq": 2, "user.id": "tenant/agent", "pgjit.policy": "reader",
        "pgjit.window.id": "w_abcdefgh234567ab", "pgjit.session.id": SESSION, "pgjit.execution.id": f"{SESSION}/1",
        "pgjit.decision": "allow", "db.system.name": "postgresql", "db.operation.name": "SELECT",
        "db.query.summary": "SELECT public.orders", "db.query.text": "SELECT total FROM orders WHERE id = $1",
    }  # fmt: skip
    assert attributes_of(third.attributes)["db.response.returned_rows"] == 1
    assert first.trace_id == second.trace_id == third.trace_id
    assert second.span_id == third.span_id != first.span_id
    assert attributes_of(collector.resources[0].attributes)["service.name"] == "pgjit"
    ((path, headers),) = collector.requests
    assert (path, headers["x-key"], headers["Content-Encoding"]) == ("/v1/logs", "secret", "gzip")
    assert (export.state.index, export.state.records, export.state.fault) == (3, 3, None)


def test_nothing_is_lost_while_the_collector_is_away_and_the_process_starts_again(
    journal: JournalFolder, collector: Collector
) -> None:
    journal.append(opened(), execution(1), outcome(1))
    run(started(journal, collector))
    collector.stop()
    for number in range(2, 40):
        journal.append(execution(number), outcome(number))
        if number % 10 == 0:
            journal.rotate()
    away = started(journal, collector)
    run(away)
    assert away.state.failures == 1
    faults = [away.state.fault]
    assert away.state.records == 0
    collector.start()
    run(away)  # the same process goes on
    faults.append(away.state.fault)
    assert faults == ["no answer", None]
    journal.append(execution(40))
    run(started(journal, collector))  # and another after it
    assert bodies(collector) == journal.lines


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_collector_that_takes_nothing_now_gets_all_of_it_later(
    journal: JournalFolder, collector: Collector, status: int
) -> None:
    journal.append(execution(1))
    collector.answer = lambda _path, _body: (status, b"")
    export = started(journal, collector)
    run(export)
    assert export.state.fault == f"HTTP status {status}"
    collector.answer = lambda _path, _body: (200, b"")
    run(export)
    assert bodies(collector) == journal.lines


def test_a_process_that_ends_before_its_cursor_is_written_sends_again_what_it_sent(
    journal: JournalFolder, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(execution(1), execution(2))
    with monkeypatch.context() as patched:
        patched.setattr(CursorFile, "write", lambda *_: (_ for _ in ()).throw(OSError("killed here")))
        with pytest.raises(OSError, match="killed here"):
            run(started(journal, collector))
    run(started(journal, collector))
    assert bodies(collector) == journal.lines * 2
    uids = [attributes_of(record.attributes)["log.record.uid"] for record in collector.logs]
    assert uids[:2] == uids[2:]  # by which a reader finds the second ones


def test_a_record_that_the_collector_never_takes_does_not_hold_up_the_others(
    journal: JournalFolder, collector: Collector
) -> None:
    def refuse_one(_path: str, body: bytes) -> tuple[int, bytes]:
        return (
            (400, b"") if b"poison" in ExportLogsServiceRequest.FromString(body).SerializeToString() else (200, b"")
        )

    collector.answer = refuse_one
    journal.append(*(execution(number, "poison" if number == 5 else "SELECT 1") for number in range(1, 12)))
    export = started(journal, collector)
    run(export)
    assert sorted(bodies(collector)) == sorted(line for line in journal.lines if b"poison" not in line)
    assert export.state.refused == 1


def test_records_that_the_collector_refuses_of_an_accepted_batch_are_counted(
    journal: JournalFolder, collector: Collector
) -> None:
    answer = ExportLogsServiceResponse(partial_success=ExportLogsPartialSuccess(rejected_log_records=2))
    collector.answer = lambda _path, _body: (200, answer.SerializeToString())
    journal.append(execution(1), execution(2), execution(3))
    export = started(journal, collector)
    run(export)
    assert (export.state.refused, export.state.records) == (2, 3)


def test_a_line_that_is_not_a_record_is_sent_all_the_same(journal: JournalFolder, collector: Collector) -> None:
    (journal.path / "00000000000000000000.jsonl").write_bytes(b'not json \xff\n[1]\n{"type":3}\n')
    run(started(journal, collector))
    assert [record.event_name for record in collector.logs] == ["pgjit.unreadable"] * 3
    assert collector.logs[0].severity_text == "ERROR"
    assert collector.logs[0].body.string_value == "not json \\xff"


def test_a_collector_that_hangs_costs_the_time_limit(journal: JournalFolder, collector: Collector) -> None:
    journal.append(opened(), execution(1), outcome(1))
    collector.hanging.set()
    export = started(journal, collector, sample=1.0, timeout=2)
    assert not export.step()
    assert export.state.fault == "no answer"
    collector.hanging.clear()
    run(export)
    assert bodies(collector) == journal.lines
    assert len(collector.spans) == 1
