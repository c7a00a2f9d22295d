"""Sends the journal to a collector: each line at least once, in order.

Decides when the cursor moves: after the collector has accepted the lines before it. A batch that the collector
refuses for its content is halved until the one record that it does not take is found; that record is counted and
logged, and the others go on. Spans are made of the same lines and are not sent again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from pgjit.audit.segments.journal_tail import JournalTail
from pgjit.audit.telemetry.cursor import CursorFile, ExportPosition
from pgjit.audit.telemetry.export_state import ExportState
from pgjit.audit.telemetry.log_records import log_record, parsed
from pgjit.audit.telemetry.spans import SpanMaker
from pgjit.telemetry.otlp import OtlpAnswers, OtlpPost, OtlpTarget, Receipt
from pgjit.telemetry.otlp_logs import logs_request, rejected_log_records

__all__ = ["JournalExport"]

MOST_RECORDS = 4096  # in one request; those of one reading, about a MiB, are fewer
_log = logging.getLogger("pgjit.otlp")


class JournalExport:
    """`step` sends the next batch. It blocks while it sends."""

    def __init__(
        self,
        tail: JournalTail,
        cursor: CursorFile,
        position: ExportPosition,
        target: OtlpTarget,
        resource: Resource,
        *,
        logs: bool = True,
        sample: float | None = None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """`sample`: the share of traces that are sent; None sends no spans."""
        self.state = ExportState(index=position.index)
        self._tail = tail
        self._cursor = cursor
        self._position = position
        self._resource = resource
        self._now = now
        self._scope = InstrumentationScope("pgjit", str(resource.attributes.get("service.version", "")))
        self._span_answers = OtlpAnswers()
        self._logs = OtlpPost(target, "logs") if logs else None
        self._traces = None
        if sample is not None:
            self._traces = OTLPSpanExporter(**target.options("traces", self._span_answers))
        self._spans = SpanMaker(resource, self._scope, sample or 0.0, position.sessions)
        self._waiting: list[bytes] = []  # read, and not accepted yet; the first has the position's index

    def step(self) -> bool:
        """Send one batch. Returns whether to go on at once. Raises OSError if journal or cursor cannot be used."""
        if not self._waiting:
            self._waiting = self._tail.read()
            self.state.skipped = self._tail.skipped
            self._position.index = self._tail.index - len(self._waiting)
        if not self._waiting:
            return False
        batch = self._waiting[:MOST_RECORDS]
        records = [parsed(line) for line in batch]
        if not self._send_logs(batch, records):
            return False
        self._send_spans(records)
        self._waiting = self._waiting[len(batch) :]
        self._position.index += len(batch)
        self._cursor.write(self._position)
        self.state.records += len(batch)
        self.state.index = self._position.index
        return True

    def close(self) -> None:
        self._tail.close()
        if self._logs is not None:
            self._logs.answers.session.close()
        self._span_answers.session.close()

    # --- log records -----------------------------------------------------------------------------------

    def _send_logs(self, lines: Sequence[bytes], records: Sequence[dict[str, Any]]) -> bool:
        if self._logs is None:
            return True
        observed = self._now()
        logs = [
            log_record(line, record, self._uid(place), observed)
            for place, (line, record) in enumerate(zip(lines, records, strict=True))
        ]
        return self._send(logs, self._position.index)

    def _uid(self, place: int) -> str:
        return f"{self._position.origin}/{self._position.index + place}"

    def _send(self, logs: Sequence[bytes], first: int) -> bool:
        """Whether all were accepted, or refused for what they are. Parts of a batch may be sent twice."""
        assert self._logs is not None
        answers = self._logs.answers
        match self._logs.send(logs_request(self._resource.attributes, logs)):
            case Receipt.ACCEPTED:
                self._count_refused(answers.content)
                self.state.fault = None
                return True
            case Receipt.AGAIN:
                self.state.failures += 1
                self.state.fault = answers.fault
                return False
            case Receipt.REFUSED if len(logs) > 1:
                half = len(logs) // 2
                return self._send(logs[:half], first) and self._send(logs[half:], first + half)
            case _:
                self.state.refused += 1
                _log.error("line %d of the journal is not accepted: %s", first, answers.fault)
                return True

    def _count_refused(self, content: bytes) -> None:
        """A collector may accept a batch and refuse some of its records; they must not be sent again."""
        if refused := rejected_log_records(content):
            self.state.refused += refused
            _log.error("the collector refused %d records of a batch that it accepted", refused)

    # --- spans -----------------------------------------------------------------------------------------

    def _send_spans(self, records: Sequence[dict[str, Any]]) -> None:
        if self._traces is None:
            return
        spans: list[ReadableSpan] = [span for record in records if (span := self._spans.take(record)) is not None]
        exporter = self._traces
        if not spans:
            return
        if self._span_answers.watch(lambda: exporter.export(spans)) is Receipt.ACCEPTED:
            self.state.spans += len(spans)
        else:
            self.state.spans_dropped += len(spans)
