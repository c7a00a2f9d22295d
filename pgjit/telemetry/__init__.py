"""What pgjit reports about itself: its metrics and its own log. Neither is the audit; the audit is the journal.

This room decides the names of the metrics, what counting costs, the format of the log's lines, and that neither can
slow or fail the data path.

- **family**: a metric with its label names (`metric_family.py`). `metrics.py` lists all of them.
- **series**: the number of a family for certain label values: an integer. Those who count keep it and add to it.
- **distribution**: a histogram's series: a count for each bucket, in whole microseconds.
- **page**: all metrics in Prometheus's format, made when somebody reads /metrics.
- **dependency**: something outside that pgjit needs: a server, a directory, a source of keys.
- **collector**: the program that takes OTLP messages (`otlp.py`); `otlp_logs.py` writes its log records as bytes.
- **line**: a record of the program's own log, as text or JSON (`log_line.py`), with its session and window.

Start with `metrics.py`; docs/metrics.md is written from it. `telemetry.py` has what the other rooms call.
`program_log.py` writes the log.

The room does not know sessions, policies or records, only their names. What spans and log records for
OpenTelemetry contain is decided in a room that knows the journal.
"""

from __future__ import annotations

from pgjit.telemetry.telemetry import PolicyCounts, Telemetry

__all__ = ["PolicyCounts", "Telemetry"]
