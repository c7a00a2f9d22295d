"""Segments are closed by size and age, between batches, and what is in closed ones is still found."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard

from pgjit.audit.event import Execution
from pgjit.audit.journal import Journal
from pgjit.audit.rotation import Rotation
from pgjit.audit.segments import Segment, list_segments
from pgjit.audit.sinks import SegmentSink
from pgjit.errors import JournalUnavailable
from tests.audit.audit_events import AT, EVENTS, execution
from tests.run.journal_text import journal_records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def _seqs(path: Path) -> list[int]:
    return [record["seq"] for record in journal_records(path)]


async def test_a_segment_is_closed_by_size_and_never_within_a_batch(path: Path) -> None:
    journal = Journal.open(SegmentSink(path), rotation=Rotation(bytes=20_000), interval=3600)
    closed: list[Segment] = []
    journal.on_segment_closed.append(closed.append)
    for _ in range(10):
        journal.append([execution() for _ in range(9)])
    assert closed == []  # not before they are on the disk
    await journal.flush()
    segments = list_segments(path)
    assert len(segments) > 1
    assert closed == list(segments[:-1])
    assert all(each.first % 9 == 0 for each in segments)
    assert all(each.path.stat().st_size <= 20_000 for each in segments)
    assert journal.synced_lines == 90
    assert _seqs(path) == list(range(1, 91))
    await journal.close()


async def test_a_segment_is_closed_by_the_age_of_its_first_record_also_over_a_restart(path: Path) -> None:
    hour = timedelta(hours=1)
    rotation = Rotation(age=hour)
    event = execution()

    def after(hours: float) -> Execution:
        return replace(event, at=event.at + int(hours * 3_600_000_000_000))

    journal = Journal.open(SegmentSink(path), rotation=rotation)
    journal.append([event])
    await journal.close()
    journal = Journal.open(SegmentSink(path), rotation=rotation)
    journal.append([after(0.9)])
    assert len(list_segments(path)) == 1
    journal.append([after(1)])
    assert [each.first for each in list_segments(path)] == [0, 2]
    journal.rotate_if_due(AT + hour * 1.9)
    assert len(list_segments(path)) == 2
    journal.rotate_if_due(AT + hour * 2)
    journal.rotate_if_due(AT + hour * 4)
    assert [each.first for each in list_segments(path)] == [0, 2, 3]
    await journal.close()


async def test_marks_and_records_are_found_in_earlier_segments(path: Path) -> None:
    journal = Journal.open(SegmentSink(path), rotation=Rotation(bytes=1), interval=3600)
    marks = []
    for _ in range(4):
        journal.append([EVENTS["window.opened"]])
        await journal.flush()
        mark = journal.mark
        assert mark is not None
        marks.append(mark)
    first, second, *_ = list_segments(path)
    second.path.with_suffix(".jsonl.zst").write_bytes(zstandard.compress(second.path.read_bytes()))
    second.path.unlink()
    assert all(journal.holds(mark) for mark in marks)
    assert not journal.holds(replace(marks[1], sha256="00" * 32))
    assert len(list(journal.records_back(AT - timedelta(days=1), b"window."))) == 4
    second.path.with_suffix(".jsonl.zst").write_bytes(b"damaged")
    with pytest.raises(JournalUnavailable):
        list(journal.records_back(AT - timedelta(days=1), b"window."))
    await journal.close()
    assert first.path.exists()
