"""The reader's cache: an entry for what a segment holds, made anew when it is broken, gone when the segment is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgjit.audit.reading.faults import AuditCacheUnusable
from pgjit.audit.reading.reader import opened_reader
from pgjit.audit.reading.segment_cache import SegmentCache, default_cache
from tests.fixtures.journals import JournalStory, write_journal

COUNT = "SELECT count(*) FROM executions"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    write_journal(tmp_path / "journal", JournalStory(30).lines(), segment_lines=25)
    return tmp_path / "journal"


def entries(cache: SegmentCache) -> list[Path]:
    return sorted(cache.folder.glob("*/*"))


def test_a_broken_entry_is_made_anew(journal: Path, tmp_path: Path) -> None:
    cache = SegmentCache(tmp_path / "cache")
    with opened_reader([journal], cache) as reader:
        whole = reader.query(COUNT)
    first = entries(cache)[0]
    (first / "finished.parquet").write_bytes(b"PAR1 broken")
    (entries(cache)[1] / "counts.json").unlink()
    with opened_reader([journal], cache) as reader:
        assert reader.query(COUNT) == whole
        assert not reader.notices


def test_a_changed_segment_has_another_entry_and_the_old_one_goes(journal: Path, tmp_path: Path) -> None:
    cache = SegmentCache(tmp_path / "cache")
    with opened_reader([journal], cache):
        before = entries(cache)
    path = min(journal.glob("*.jsonl"))
    times = path.stat()
    path.write_text(path.read_text().replace("shop.orders", "shop.others"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # the size is the same, too
    with opened_reader([journal], cache) as reader:
        assert reader.query("SELECT count(*) > 0 FROM executions WHERE list_contains(reads, 'shop.others')").rows == [
            (True,)
        ]
    assert len(entries(cache)) == len(before)
    assert before[0] not in entries(cache)


def test_what_retention_removes_leaves_the_cache(journal: Path, tmp_path: Path) -> None:
    cache = SegmentCache(tmp_path / "cache")
    with opened_reader([journal], cache):
        before = entries(cache)
    min(journal.glob("*.jsonl")).unlink()
    with opened_reader([journal], cache) as reader:
        assert not reader.notices
    assert entries(cache) == before[1:]


def test_a_cache_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o755)
    with pytest.raises(AuditCacheUnusable):
        SegmentCache(folder)
    SegmentCache(tmp_path / "own")
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AuditCacheUnusable):
        SegmentCache(tmp_path / "file" / "cache")


def test_the_usual_place_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "pgjit" / "audit"
