"""How the events of the journal itself are written: their names and members. Pure."""

from __future__ import annotations

from pgjit.audit.keeping_event import (
    JournalReplaced,
    JournalSpaceLow,
    JournalSpaceRegained,
    JournalTorn,
    KeepingEvent,
    SaltsDropped,
    SegmentDropped,
)
from pgjit.audit.record_json import time_text

__all__ = ["keeping_members"]


def keeping_members(event: KeepingEvent) -> tuple[str, dict[str, object]]:
    """The record's name, and the members after its time."""
    match event:
        case JournalTorn():
            return "journal.torn", {"line": event.line, "bytes": event.bytes, "files": list(event.files)}
        case JournalReplaced():
            before = {"origin": event.origin_before, "lines": event.lines, "seq": event.seq, "sha256": event.sha256}
            return "journal.replaced", {"origin": event.origin, "before": before}
        case SegmentDropped():
            return "journal.segment.dropped", {
                "segment": event.segment,
                "first": event.first,
                "lines": event.lines,
                "until": time_text(event.until),
                "archived": event.archived,
                **({"unsent": event.unsent} if event.unsent else {}),
            }
        case SaltsDropped():
            return "journal.salts.dropped", {"days": list(event.days)}
        case JournalSpaceLow() | JournalSpaceRegained():
            name = "journal.space.low" if isinstance(event, JournalSpaceLow) else "journal.space.regained"
            return name, {"free_bytes": event.free_bytes, "warn_bytes": event.warn_bytes}
        case _:
            raise TypeError(f"no record is known for {type(event).__name__}")
