"""Closed segments of a journal that is written: compressed, copied, dropped, with an alarm for the disk's space."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pgjit.audit.journal import Journal
from pgjit.audit.keeping import upkeep
from pgjit.audit.keeping.upkeep import Keeping, Upkeep
from pgjit.audit.redaction.salts import SaltFiles, read_salt_key
from pgjit.audit.rotation import Rotation
from pgjit.audit.segments import list_segments, segment_name
from pgjit.audit.sinks import SegmentSink
from pgjit.clock import nanoseconds_of
from pgjit.errors import JournalUnavailable
from tests.audit.audit_events import AT, execution
from tests.audit.disturbed_sink import DisturbedSink
from tests.run.journal_text import journal_lines, journal_records
from tests.run.waiting import until

DAY = timedelta(days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[Journal]:
    journal = Journal.open(SegmentSink(path, "node/0"), rotation=Rotation(age=DAY), interval=3600)
    yield journal
    await journal.close()


def _write(journal: Journal, days: int) -> None:
    """A segment for each day."""
    for day in range(days):
        journal.append([replace(execution(), at=nanoseconds_of(AT + day * DAY))])


class _Now:
    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> datetime:
        return self.at


async def test_closed_segments_are_compressed_and_nothing_else_changes(journal: Journal, path: Path) -> None:
    _write(journal, 4)
    before = journal_lines(path)
    (path / f"{segment_name(0)}.jsonl.zst.part").write_bytes(b"left by a kill")
    await Upkeep(journal, _Now(), Keeping()).round()
    assert [each.compressed for each in list_segments(path)] == [True, True, True, False]
    assert not list(path.glob("*.part"))
    assert journal_lines(path) == before
    journal.append([execution()])
    assert journal.seq == 5
    plain = list_segments(path)[3].path
    assert plain.suffix == ".jsonl"
    await Upkeep(journal, _Now(), Keeping(compress=False)).round()
    assert plain.exists()


async def test_only_whole_old_segments_are_dropped_and_that_is_recorded_first(journal: Journal, path: Path) -> None:
    _write(journal, 5)
    now = _Now()
    now.at = AT + 6 * DAY
    keeping = Upkeep(journal, now, Keeping(keep=4 * DAY))
    (path / f"{segment_name(0)}.leaves").write_bytes(b"x" * 32)
    for first in (0, 1, 2):
        (path / f"{segment_name(first)}.results").write_bytes(b"rows\n")
    await keeping.round()
    assert [each.name for each in path.glob("*.results")] == [f"{segment_name(2)}.results"]
    dropped = [record for record in journal_records(path) if record["type"] == "journal.segment.dropped"]
    assert [(each["segment"], each["first"], each["lines"], each["archived"]) for each in dropped] == [
        (f"{segment_name(0)}.jsonl.zst", 0, 1, None),
        (f"{segment_name(1)}.jsonl.zst", 1, 1, None),
    ]
    assert [each.first for each in list_segments(path)] == [2, 3, 4, 5]
    assert not (path / f"{segment_name(0)}.leaves").exists()
    await keeping.round()
    assert len(list_segments(path)) == 4  # the record of it opened a segment, and nothing more is old


async def test_a_segment_waits_for_the_collector_for_a_while(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write(journal, 5)
    now = _Now()
    sent: list[int | None] = [None]
    now.at = AT + 9 * DAY
    looking_after = Upkeep(journal, now, Keeping(keep=4 * DAY, wait_for_export=3 * DAY), lambda: sent[0])

    def dropped() -> list[tuple[int, int]]:
        found = [record for record in journal_records(path) if record["type"] == "journal.segment.dropped"]
        return [(each["first"], each.get("unsent", 0)) for each in found]

    await looking_after.round()  # nobody knows yet how far the export is: what is not too old waits
    assert (dropped(), looking_after.held) == ([(0, 1), (1, 1)], 2)
    assert "2 records are removed that the collector does not have" in caplog.text
    await looking_after.round()
    assert (dropped(), looking_after.held) == ([(0, 1), (1, 1)], 2)
    assert caplog.text.count("are kept until the collector has their records") == 1
    sent[0] = 3
    await looking_after.round()
    assert (dropped()[2:], looking_after.held) == ([(2, 0)], 1)
    sent[0] = 9
    await looking_after.round()
    assert (dropped()[3:], looking_after.held) == ([(3, 0)], 0)


async def test_a_nearly_full_disk_waits_for_no_collector(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(journal, 4)
    now = _Now()
    now.at = AT + 9 * DAY
    monkeypatch.setattr(upkeep, "free_bytes", lambda _: 7)
    await Upkeep(journal, now, Keeping(keep=4 * DAY, warn_bytes=9), lambda: 0).round()
    assert list_segments(path)[0].first == 3


async def test_what_the_proof_needs_is_not_dropped(journal: Journal, path: Path) -> None:
    _write(journal, 3)
    now = _Now()
    now.at = AT + 9 * DAY
    (path / "checkpoint").write_bytes(b"signed")
    keeping = Upkeep(journal, now, Keeping(keep=DAY))
    await keeping.round()
    assert [each.first for each in list_segments(path)] == [0, 1, 2, 3]
    (path / f"{segment_name(0)}.subtrees").write_bytes(b"[]\n")
    await keeping.round()
    assert [each.first for each in list_segments(path)] == [1, 2, 3]
    assert (path / f"{segment_name(0)}.subtrees").exists()


async def test_there_is_an_alarm_before_the_disk_is_full(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    free = [2000]
    monkeypatch.setattr(upkeep, "free_bytes", lambda _: free[0])
    keeping = Upkeep(journal, _Now(), Keeping(warn_bytes=1000))
    alarms = []
    for amount in (2000, 999, 500, 1100, 999, 1125, 2000):
        free[0] = amount
        await keeping.round()
        alarms.append(keeping.space_low)
    assert alarms == [False, True, True, True, True, False, False]
    records = [(each["type"], each["free_bytes"]) for each in journal_records(path)]
    assert records == [("journal.space.low", 999), ("journal.space.regained", 1125)]
    assert caplog.text.count("when it is full, nothing runs") == 1


async def test_a_failure_is_logged_once_and_tried_again(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    _write(journal, 2)
    keeping = Upkeep(journal, _Now(), Keeping())
    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(upkeep, "compress", full)
        for _ in range(3):
            await keeping.round()
    assert caplog.text.count("cannot be looked after") == 1
    assert not list_segments(path)[0].compressed
    await keeping.round()
    assert list_segments(path)[0].compressed


async def test_closed_segments_are_copied_before_they_are_dropped_and_once(
    journal: Journal, path: Path, tmp_path: Path
) -> None:
    _write(journal, 3)
    now = _Now()
    now.at = AT + 9 * DAY
    place = tmp_path / "archive"
    place.write_bytes(b"")  # in the way
    keeping = Upkeep(journal, now, Keeping(keep=DAY, archive=place.as_uri(), interval=0.05))
    (path / f"{segment_name(0)}.leaves").write_bytes(b"x" * 32)
    for first in (0, 1):
        (path / f"{segment_name(first)}.subtrees").write_bytes(b"[]\n")
    lines = journal_lines(path)
    keeping.start()
    try:
        await until(lambda: keeping.archive_failures)
        assert [each.first for each in list_segments(path)] == [0, 1, 2, 3]
        place.unlink()
        await until(lambda: list_segments(path)[0].first == 2)
    finally:
        await keeping.close()
    copies = place / journal.origin
    assert {each.name for each in copies.iterdir()} == {
        f"{segment_name(0)}.jsonl.zst", f"{segment_name(1)}.jsonl.zst", f"{segment_name(0)}.leaves", "origin",
        f"{segment_name(0)}.subtrees", f"{segment_name(1)}.subtrees",
    }  # fmt: skip
    assert journal_lines(copies)[:2] == lines[:2]
    dropped = [record for record in journal_records(path) if record["type"] == "journal.segment.dropped"]
    assert dropped[0]["archived"] == f"{place.as_uri()}/{journal.origin}/{segment_name(0)}.jsonl.zst"


async def test_salts_are_removed_by_their_age(journal: Journal, path: Path) -> None:
    salts, now = SaltFiles(path), _Now()
    first, second = salts.key_for(AT), salts.key_for(AT + DAY)
    now.at = AT + 3 * DAY
    await Upkeep(journal, now, Keeping(salts=2 * DAY)).round()
    assert [each["days"] for each in journal_records(path) if each["type"] == "journal.salts.dropped"] == [
        [first.day]
    ]
    assert read_salt_key(path, first.name) is None
    assert read_salt_key(path, second.name) == second


@pytest.mark.parametrize("failing", ["failure", "flush_failure"])
async def test_what_cannot_be_recorded_is_not_removed(path: Path, failing: str) -> None:
    sink, now = DisturbedSink(path), _Now()
    journal = Journal.open(sink, rotation=Rotation(age=DAY), interval=3600)
    _write(journal, 3)
    key = SaltFiles(path).key_for(AT)
    now.at = AT + 5 * DAY
    setattr(sink, failing, OSError(28, "No space left on device"))
    for keeping in (Keeping(compress=False, salts=DAY), Keeping(compress=False, keep=DAY)):
        await Upkeep(journal, now, keeping).round()
        assert read_salt_key(path, key.name) == key
        assert [each.first for each in list_segments(path)][:3] == [0, 1, 2]
    with suppress(JournalUnavailable):  # after a failed flush
        await journal.close()
