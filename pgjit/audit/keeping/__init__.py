"""What becomes of closed segments: compressed, copied to an archive, and removed when they are old enough.

This room decides in which order that happens, so that no line is lost by it: a file is removed only after its
compressed form was read back, and a segment only after its copy was verified and its removal is recorded.

- **compressed**: the plain file's bytes as zstd, in its place (`compression.py`).
- **archived**: copied to a directory or object store, read back and compared (`archive.py`).
- **dropped**: older than the journal keeps, and removed (`retention.py`). What proves it stays.
- **space**: what is free on the journal's disk; there is an alarm before nothing is (`disk_space.py`).
- **upkeep**: all of this, in threads of its own, beside a journal that is written (`upkeep.py`).

Start with `upkeep.py`. Nothing here holds up a statement: a step that fails is reported, and tried again later.

The room does not know how lines are written (`audit/sinks/`), nor what a line contains beyond its time.
"""

from __future__ import annotations

from pgjit.audit.keeping.upkeep import Upkeep

__all__ = ["Upkeep"]
