"""The story of a window lists what was written, and nothing else."""

from __future__ import annotations

from pathlib import Path

from pgjit.audit.reading.reader import Reader, opened_reader
from pgjit.audit.reading.segment_cache import SegmentCache
from pgjit.audit.reading.values import as_documents
from pgjit.audit.reading.window_story import window_story
from tests.audit.reading.conftest import two_stopped
from tests.fixtures.journals import write_journal


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


def test_what_was_stopped_is_counted_by_itself(tmp_path: Path) -> None:
    lines, failed = two_stopped()
    write_journal(tmp_path / "journal", lines)
    with opened_reader([tmp_path / "journal"], SegmentCache(tmp_path / "cache")) as reader:
        windows = [str(window) for (window,) in reader.query('SELECT "window" FROM windows').rows]
        totals = [window_story(reader, window).totals for window in windows]
    sums = {name: sum(int(str(each[name])) for each in totals) for name in ("failed", "stopped")}
    assert sums == {"failed": failed, "stopped": 2}
