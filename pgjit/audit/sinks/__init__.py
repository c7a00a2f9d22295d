"""The audit sinks: each keeps the lines of the journal in one kind of place.

This room decides how lines are stored: in order, by one writer, complete or not at all. `tests/contracts/sink.py`
checks a sink. There is one, `SegmentSink`: a folder of segments.

- **append**: all of the lines or none; they survive the end of the process.
- **rotate**: the open segment is closed, and the next one begins with the next line.
- **flush**: everything appended survives a crash of the machine, the segments in their order.
- **torn**: unfinished, left by a crash; `open` moves it to a file beside the segments (`torn_lines.py`).
- **lost**: the folder is not where it was; `reopen` looks for it. **Broken**: its content is not known any more.

Start with `segment_sink.py`, then `open_segment.py`, which writes one file, and `journal_folder.py`, which locks the
folder and gives its lines an origin.

The room does not know what a line contains, when a segment is full, nor what a failure means for the journal:
`audit/journal.py` decides that. Closed segments are not its matter any more.
"""

from __future__ import annotations

from pgjit.audit.sinks.segment_sink import SegmentSink

__all__ = ["SegmentSink"]
