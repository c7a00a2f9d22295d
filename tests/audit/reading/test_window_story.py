"""The story of a window says what was written, and nothing else."""

from __future__ import annotations

from pgjit.audit.reading.reader import Reader
from pgjit.audit.reading.values import as_documents
from pgjit.audit.reading.window_story import window_story


def test_what_was_refused_or_has_failed_wrote_nothing(reader: Reader) -> None:
    sql = 'SELECT "window", writes, decision, ended FROM executions'
    wrote: dict[str, set[str]] = {}
    for each in as_documents(reader.query(sql, most=10_000)):
        written = wrote.setdefault(str(each["window"]), set())
        ended = each.get("ended")
        if ended not in ("refused", "failed") and (ended is not None or each["decision"] == "allow"):
            written.update(map(str, each.get("writes") or ()))  # type: ignore[call-overload]
    assert any(wrote.values())
    for window, names in list(wrote.items())[:20]:
        assert window_story(reader, window).totals["written"] == sorted(names)
