"""Reading the journal's folder: its segments in order, their lines exactly as they were written.

This room decides how a file of the journal is named, what its lines are, and when a folder is incomplete. It only
reads files, also while pgjit writes them, so that each reader (proof, queries, export) sees the same lines.

- **segment**: a file of consecutive lines, named by the number of its first line (`segment.py`). The last is open.
- **index**: the number of a line in the whole journal, from 0. It does not depend on what the line contains.
- **compressed**: a closed segment as zstd; its content is the same bytes.
- **block**: some consecutive lines, about a MiB of them, which is how files are read (`line_blocks.py`).
- **damaged**: a segment that does not hold what its name and the next segment's name promise.

- **place**: a folder of this machine or of an object store, where segments can be read (`journal_place.py`).

Start with `list_segments` in `segment.py`, then `lines_of` in `sequence.py`, which reads several segments as one
sequence and finds gaps between them. `journal_tail.py` follows a journal while it is written. Memory is bounded by a
block and by the longest line.

The room does not know what a line contains, who writes, nor whether the lines were changed: `audit/sinks/` writes,
`audit/proof/` proves.
"""

from __future__ import annotations

from pgjit.audit.segments.damage import SegmentDamaged
from pgjit.audit.segments.line_blocks import line_blocks
from pgjit.audit.segments.segment import Segment, list_segments, segment_name
from pgjit.audit.segments.sequence import lines_of

__all__ = ["Segment", "SegmentDamaged", "line_blocks", "lines_of", "list_segments", "segment_name"]
