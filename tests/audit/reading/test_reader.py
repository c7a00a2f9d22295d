"""Journals opened for reading: what the views have, what is noticed, and what the engine may not do."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb
import fsspec
import pytest

from pgjit.audit.reading.faults import JournalUnreadable, NoJournal
from pgjit.audit.reading.reader import Reader, Rows, opened_reader
from pgjit.audit.reading.segment_cache import SegmentCache
from pgjit.audit.segments import list_segments
from pgjit.audit.segments.journal_place import JournalPlace
from pgjit.audit.segments.store_folder import StoreFolder
from tests.audit.reading.conftest import WrittenJournal, compress
from tests.fixtures.journals import JournalStory, write_journal


def query(places: Sequence[JournalPlace], cache: Path, sql: str) -> tuple[Rows, list[str]]:
    with opened_reader(places, SegmentCache(cache)) as reader:
        return reader.query(sql), reader.notices


def test_executions_are_those_of_the_journal_each_with_its_outcome(written: WrittenJournal, reader: Reader) -> None:
    rows = reader.query("SELECT execution, seq, outcome_seq, rows, ended FROM executions ORDER BY seq").rows
    outcomes = {record["execution"]: record for record in written.of("outcome")}
    assert rows == [
        (each["execution"], each["seq"], end["seq"], end["rows"], end["ended"])
        for each in written.of("execution")
        for end in [outcomes[each["execution"]]]
    ]
    assert not reader.notices


def test_every_record_is_in_the_view_of_records_as_it_was_written(written: WrittenJournal, reader: Reader) -> None:
    rows = reader.query("SELECT seq, type, record FROM records ORDER BY seq")
    assert [(seq, kind) for seq, kind, _ in rows.rows] == [(each["seq"], each["type"]) for each in written.records]
    lines = [line for path in sorted(written.folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    assert set(lines) <= {str(record) for _, _, record in rows.rows}


def test_windows_sessions_requests_and_logins_are_those_of_the_journal(
    written: WrittenJournal, reader: Reader
) -> None:
    windows = reader.query('SELECT "window", display, end_reason, sessions, break_glass FROM windows').rows
    ends = {each["window"]["id"]: each["reason"] for each in written.of("window.ended")}
    assert sorted(windows, key=str) == sorted(
        [
            (
                each["window"]["id"], each["identity"]["display"], ends[each["window"]["id"]], 1,
                each["policy"] == "break-glass",
            )
            for each in written.of("window.opened")
        ],
        key=str,
    )  # fmt: skip
    sessions = reader.query("SELECT session, executions, reason FROM sessions").rows
    assert Counter(sessions) == Counter(
        (each["session"], each["executions"], each["reason"]) for each in written.of("session.ended")
    )
    states = {each["request"]: each["state"] for each in written.of("request.ended")}
    assert dict(reader.query("SELECT request, state FROM requests").rows) == states
    logins = dict(reader.query("SELECT outcome, count(*) FROM logins GROUP BY 1").rows)
    assert logins == {"accepted": len(written.of("session.opened")), "refused": len(written.of("login.refused"))}


def test_a_second_reading_gives_the_same_from_the_cache(written: WrittenJournal, tmp_path: Path) -> None:
    made: list[tuple[int, int]] = []
    sql = "SELECT count(*), sum(rows), count(DISTINCT session) FROM executions"
    cache = SegmentCache(tmp_path / "cache")
    with opened_reader([written.folder], cache, lambda done, whole: made.append((done, whole))) as reader:
        first = reader.query(sql)
    assert made[-1][0] == made[-1][1]
    assert [done for done, _ in made] == sorted(done for done, _ in made)
    made.clear()
    with opened_reader([written.folder], cache, lambda done, whole: made.append((done, whole))) as reader:
        assert reader.query(sql) == first
    assert not made


def test_half_a_line_at_the_end_is_left_out_without_a_notice(written: WrittenJournal, tmp_path: Path) -> None:
    lines = [line for path in sorted(written.folder.glob("*.jsonl")) for line in path.read_text().splitlines()][:50]
    [path] = write_journal(tmp_path / "journal", lines)
    with path.open("a") as file:
        file.write('{"v":1,"seq":51,"time":"2026-11-2')
    rows, notices = query([tmp_path / "journal"], tmp_path / "cache", "SELECT count(*) FROM records")
    assert (rows.rows, notices) == ([(50,)], [])


def test_what_an_answer_lacks_is_noticed(tmp_path: Path) -> None:
    lines = list(JournalStory(60, people=2).lines())
    lines[3] = "no record"
    lines[4] = lines[4].replace('"v":1', '"v":9')
    folder = tmp_path / "journal"
    paths = write_journal(folder, lines, segment_lines=30)
    (folder / "notes.txt").write_text("not a segment")
    (folder / "checkpoint").write_bytes(b"\xff\x00")
    paths[1].unlink()
    packed = compress(paths[2])
    packed.write_bytes(packed.read_bytes()[:-40])
    rows, notices = query([folder], tmp_path / "cache", "SELECT count(*) FILTER (v = 9), count(*) > 20 FROM records")
    assert rows.rows == [(1, True)]
    assert [notice.split(", after")[0] for notice in notices] == [
        "1 lines of segment `00000000000000000000.jsonl` are no records",
        "lines 30 to 59 are missing before segment `00000000000000000060.jsonl.zst`",
        f"segment is damaged: {packed.name}",
        "1 records have another version than 1: they are only in the view `records`",
    ]


def test_an_execution_of_a_killed_node_has_no_outcome(tmp_path: Path) -> None:
    lines = list(JournalStory(5, people=1).lines())
    last = max(at for at, line in enumerate(lines) if '"type":"execution"' in line)
    write_journal(tmp_path / "journal", lines[: last + 1])
    sql = "SELECT ended, outcome_seq FROM executions ORDER BY seq DESC LIMIT 1"
    rows, _ = query([tmp_path / "journal"], tmp_path / "cache", sql)
    assert rows.rows == [("unknown", None)]


def test_several_journals_are_read_together(tmp_path: Path) -> None:
    for worker in range(2):
        folder = tmp_path / "journals" / f"worker-{worker}"
        write_journal(folder, JournalStory(10, seed=worker).lines())
        (folder / "origin").write_text(f"n1/{worker}/aaaaaaaa\n")
    sql = "SELECT journal, count(*) FROM executions GROUP BY 1 ORDER BY 1"
    rows, _ = query([tmp_path / "journals"], tmp_path / "cache", sql)
    assert rows.rows == [("n1/0/aaaaaaaa", 10), ("n1/1/aaaaaaaa", 10)]


def test_a_folder_without_an_origin_adds_no_record_to_the_journal_beside_it(tmp_path: Path) -> None:
    for name, seed in (("forged", 1), ("journal", 2)):
        write_journal(tmp_path / "places" / name, JournalStory(10, seed=seed).lines())
    (tmp_path / "places" / "forged" / "origin").unlink()
    sql = "SELECT journal, seq, record FROM records ORDER BY ALL"
    rows, _ = query([tmp_path / "places"], tmp_path / "cache", sql)
    assert rows == query([tmp_path / "places" / "journal"], tmp_path / "cache", sql)[0]


def test_a_folder_without_a_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place, why in (("nowhere", "no such folder"), ("file", "It is a file"), (".", "has no segment")):
        with pytest.raises(NoJournal) as fault:
            query([tmp_path / place], tmp_path / "cache", "SELECT 1")
        assert why in (fault.value.detail or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_journal_of_somebody_else_is_refused(written: WrittenJournal, tmp_path: Path) -> None:
    [path] = write_journal(tmp_path / "journal", JournalStory(5).lines())
    path.chmod(0)
    with pytest.raises(JournalUnreadable):
        query([tmp_path / "journal"], tmp_path / "cache", "SELECT 1")


def test_the_engine_reads_nothing_else_and_cannot_be_set(reader: Reader, tmp_path: Path) -> None:
    refused = (
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/*')",
        f"COPY (SELECT 1) TO '{tmp_path}/x.csv'",
        f"ATTACH '{tmp_path}/x.db'",
        "SET enable_external_access = true",
        "SET memory_limit = '90GB'",
        "INSTALL httpfs",
    )
    for sql in refused:
        with pytest.raises(duckdb.Error):
            reader.connection.execute(sql)
    assert not list(tmp_path.iterdir())


def test_segments_in_an_object_store_are_read_with_those_of_the_folder(
    written: WrittenJournal, reader: Reader, tmp_path: Path
) -> None:
    url = f"memory://{tmp_path.name}"
    store, root = fsspec.core.url_to_fs(url)
    for segment in list_segments(written.folder)[:2]:
        store.pipe_file(f"{root}/{segment.name}", segment.path.read_bytes())
    last = tmp_path / "journal" / list_segments(written.folder)[2].name
    last.parent.mkdir()
    last.write_bytes(list_segments(written.folder)[2].path.read_bytes())
    store.pipe_file(f"{root}/origin", b"node/0/abc\n")
    (last.parent / "origin").write_bytes(b"node/0/abc\n")
    sql = "SELECT seq, execution, outcome_seq, rows FROM executions ORDER BY seq"
    for _ in range(2):  # the second time from the cache, without the store's segments
        rows, notices = query([last.parent, StoreFolder(url)], tmp_path / "cache", sql)
        assert (rows.rows, notices) == (reader.query(sql).rows, [])
    store.rm(f"{root}/{list_segments(written.folder)[0].name}")
    rows, notices = query([last.parent, StoreFolder(url)], tmp_path / "cache", sql)
    assert len(rows.rows) < len(reader.query(sql).rows)  # what a store removes does not live on in the cache
    with pytest.raises(NoJournal):
        query([StoreFolder(f"{url}/none")], tmp_path / "cache", sql)
