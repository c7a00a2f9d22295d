from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from pgjit.audit.event import time_of_event
from pgjit.audit.journal import Journal
from pgjit.audit.segments import segment_name
from pgjit.audit.sink import SinkBroken
from pgjit.audit.sinks import SegmentSink
from pgjit.errors import JournalUnavailable, ServerUnavailable
from tests.audit.audit_events import EVENTS, execution, unwritable
from tests.audit.disturbed_sink import DisturbedSink
from tests.run.journal_text import journal_lines, journal_records


def _writable(journal: Journal) -> bool:
    """Asked anew: to the type checker a property that was read once stays what it was."""
    return journal.writable


def _seqs(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in journal_lines(path)]


async def test_records_are_in_the_file_when_append_returns(journal: Journal, path: Path) -> None:
    journal.append(list(EVENTS.values()))
    journal.append([])
    journal.append([execution("SELECT 2")])
    records = [json.loads(line) for line in journal_lines(path)]
    assert [record["type"] for record in records] == [*EVENTS, "execution"]
    assert [record["seq"] for record in records] == list(range(1, len(EVENTS) + 2))
    assert journal.seq == len(EVENTS) + 1


async def test_the_sequence_goes_on_after_a_restart(path: Path) -> None:
    for _ in range(3):
        journal = Journal.open(SegmentSink(path))
        journal.append([execution(), execution()])
        await journal.close()
    assert _seqs(path) == [1, 2, 3, 4, 5, 6]


async def test_the_time_of_the_last_record_is_known_after_a_restart(path: Path) -> None:
    first = Journal.open(SegmentSink(path))
    assert first.last_at is None
    event = execution()
    first.append([event])
    await first.close()
    again = Journal.open(SegmentSink(path))
    assert again.last_at == time_of_event(event)
    await again.close()


async def test_a_torn_line_leaves_no_gap(path: Path) -> None:
    journal = Journal.open(SegmentSink(path))
    journal.append([execution(), execution()])
    await journal.close()
    with (path / f"{segment_name(0)}.jsonl").open("ab") as file:
        file.write(b'{"seq":3,"time":"2026')
    journal = Journal.open(SegmentSink(path))
    journal.append([execution()])
    journal.append([execution()])
    await journal.close()
    assert _seqs(path) == [1, 2, 3, 4, 5]
    torn, *_ = journal_records(path)[2:]
    name = f"torn-{segment_name(2)}"
    assert (torn["type"], torn["line"], torn["bytes"], torn["files"]) == ("journal.torn", 2, 21, [name])
    assert (path / name).read_bytes() == b'{"seq":3,"time":"2026'


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"not json\n", "its last line is not a record"),
        (b"\n", "its last line is not a record"),
        (b"[1]\n", "its last line has no sequence number"),
        (b'{"seq":"7"}\n', "its last line has no sequence number"),
        (b'{"seq":true}\n', "its last line has no sequence number"),
        (b'{"seq":0}\n', "its last line has no sequence number"),
    ],
)
def test_a_file_that_is_no_journal_is_refused_and_kept(path: Path, content: bytes, detail: str) -> None:
    path.mkdir()
    segment = path / f"{segment_name(0)}.jsonl"
    segment.write_bytes(content)
    for _ in range(2):  # a refusal gives the lock back
        with pytest.raises(ServerUnavailable) as caught:
            Journal.open(SegmentSink(path))
        assert (caught.value.reference, caught.value.detail) == ("journal-unusable", detail)
    assert segment.read_bytes() == content


async def test_a_journal_has_one_writer(journal: Journal, path: Path) -> None:
    with pytest.raises(ServerUnavailable) as caught:
        Journal.open(SegmentSink(path))
    assert caught.value.detail == f"another process writes {path}"


async def test_a_full_disk_refuses_and_costs_no_number(
    journal: Journal, sink: DisturbedSink, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal.append([execution()])
    sink.failure = OSError(28, "No space left on device")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            with pytest.raises(JournalUnavailable):
                journal.append([execution(), execution()])
    assert _writable(journal) is False
    assert caplog.text.count("takes no records") == 1
    sink.failure = None
    assert _writable(journal) is True
    journal.append([execution()])
    assert _seqs(path) == [1, 2]


async def test_a_sink_that_broke_is_not_tried_again(journal: Journal, sink: DisturbedSink, path: Path) -> None:
    sink.failure = SinkBroken("ends in half a line")
    with pytest.raises(JournalUnavailable):
        journal.append([execution()])
    sink.failure = None
    assert not journal.writable
    with pytest.raises(JournalUnavailable):
        journal.append([execution()])
    assert journal_lines(path) == []


async def test_a_probe_that_breaks_the_sink_fails_the_journal(journal: Journal, sink: DisturbedSink) -> None:
    sink.failure = OSError(28, "No space left on device")
    with pytest.raises(JournalUnavailable):
        journal.append([execution()])
    sink.failure = SinkBroken("was removed")
    assert not journal.writable
    sink.failure = None
    assert not journal.writable


async def test_an_event_that_cannot_be_written_down_does_not_happen(journal: Journal, path: Path) -> None:
    with pytest.raises(JournalUnavailable):
        journal.append([execution(), unwritable()])
    assert journal_lines(path) == []
    journal.append([execution()])
    assert _seqs(path) == [1]


async def test_flush_returns_at_once_when_there_is_nothing_new(journal: Journal, sink: DisturbedSink) -> None:
    await journal.flush()
    journal.append([execution()])
    await journal.flush()
    await journal.flush()
    assert sink.flushes == 1


async def test_those_who_wait_share_an_fsync(journal: Journal, sink: DisturbedSink) -> None:
    sink.gate.clear()
    journal.append([execution()])
    first = asyncio.create_task(journal.flush())
    await asyncio.to_thread(sink.flushing.wait, 60)
    later = []
    for _ in range(10):
        journal.append([execution()])
        later.append(asyncio.create_task(journal.flush()))
    sink.gate.set()
    await asyncio.gather(first, *later)
    assert sink.flushes == 2


async def test_a_waiter_that_goes_away_takes_nobody_along(journal: Journal, sink: DisturbedSink) -> None:
    sink.gate.clear()
    journal.append([execution()])
    one, other = asyncio.create_task(journal.flush()), asyncio.create_task(journal.flush())
    await asyncio.to_thread(sink.flushing.wait, 60)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    sink.gate.set()
    await other
    assert sink.flushes == 1


async def test_a_failed_fsync_fails_the_journal_for_good(
    journal: Journal, sink: DisturbedSink, caplog: pytest.LogCaptureFixture
) -> None:
    journal.append([execution()])
    sink.flush_failure = OSError(5, "Input/output error")
    with pytest.raises(JournalUnavailable):
        await journal.flush()
    sink.flush_failure = None
    assert not journal.writable
    with pytest.raises(JournalUnavailable):
        await journal.flush()
    with pytest.raises(JournalUnavailable):
        journal.append([execution()])
    assert "until a restart" in caplog.text


async def test_the_journal_flushes_by_itself_while_there_is_something_new(sink: DisturbedSink) -> None:
    journal = Journal.open(sink, interval=0.001)
    journal.append([execution()])
    assert await asyncio.to_thread(sink.flushing.wait, 60)
    await journal.close()
    assert sink.flushes == 1


async def test_records_that_come_during_an_fsync_get_the_next(sink: DisturbedSink) -> None:
    sink.gate.clear()
    journal = Journal.open(sink, interval=0.001)
    journal.append([execution()])
    assert await asyncio.to_thread(sink.flushing.wait, 60)
    journal.append([execution()])
    sink.flushing.clear()
    sink.gate.set()
    assert await asyncio.to_thread(sink.flushing.wait, 60)
    await journal.close()
    assert sink.flushes == 2


async def test_close_flushes_and_gives_the_file_back(sink: DisturbedSink, path: Path) -> None:
    journal = Journal.open(sink)
    journal.append([execution()])
    await journal.close()
    assert sink.flushes == 1
    assert not journal.writable
    with pytest.raises(JournalUnavailable):
        journal.append([execution()])
    await Journal.open(SegmentSink(path)).close()


async def test_close_tells_that_the_last_records_may_be_lost_and_still_gives_the_file_back(
    sink: DisturbedSink, path: Path
) -> None:
    journal = Journal.open(sink)
    journal.append([execution()])
    sink.flush_failure = OSError(5, "Input/output error")
    with pytest.raises(JournalUnavailable):
        await journal.close()
    await Journal.open(SegmentSink(path)).close()


def test_records_are_taken_outside_an_event_loop_too(path: Path) -> None:
    journal = Journal.open(SegmentSink(path))
    journal.append([execution()])
    assert _seqs(path) == [1]
    asyncio.run(journal.close())


async def test_a_folder_that_is_back_is_used_while_it_is_flushed_and_a_new_one_afterwards(
    journal: Journal, sink: DisturbedSink, path: Path
) -> None:
    away = path.with_name("away")
    journal.append([execution("a")])
    sink.gate.clear()
    flush = asyncio.create_task(journal.flush())
    await asyncio.to_thread(sink.flushing.wait, 60)
    path.rename(away)
    with pytest.raises(JournalUnavailable):
        journal.append([execution("refused")])
    away.rename(path)
    journal.append([execution("b")])
    path.rename(away)
    path.mkdir()
    for _ in range(2):
        with pytest.raises(JournalUnavailable):
            journal.append([execution("refused")])
    sink.gate.set()
    await flush
    journal.append([execution("c")])
    assert [record["statement"] for record in journal_records(away)] == ["a", "b"]
    assert [record.get("statement") for record in journal_records(path)] == [None, "c"]
