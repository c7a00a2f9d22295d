"""The journal for OpenTelemetry: each record as a log record, and spans of sessions and executions, sent by OTLP.

This room decides how a record looks to a collector, what a trace contains, which executions have a span, and that no
record is lost when the collector is away.

- **tail**: reads the journal's folder from a line on, while pgjit writes it (`segments/journal_tail.py`).
- **cursor**: which line comes next, in a file. It moves only after the collector has accepted what is before it.
- **log record**: a record of the journal for a SIEM: event name, attributes, and the line itself (`log_records.py`).
- **span**: a session, or an execution with its outcome (`spans.py`). Spans are sampled, and may be lost.
- **trace context**: an agent's own trace, named in a comment of the statement (`trace_context.py`).

Start with `JournalExport.step` in `journal_export.py`. It runs in a process of its own (`export_process.py`), so a
collector that is slow or hangs, and the work of encoding, cost the data path nothing.

The room reads files and knows no session, no journal writer and no metric. Metrics are sent by `pgjit/telemetry/`.
"""

from __future__ import annotations

__all__: list[str] = []
