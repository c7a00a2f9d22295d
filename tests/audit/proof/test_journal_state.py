"""How much of a journal there is, and how much of it is signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgjit.audit.proof.checkpoint_log import CHECKPOINTS, NEWEST, write_checkpoint
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.journal_state import journal_state
from pgjit.audit.proof.proved_journals import ProvedJournal
from pgjit.audit.segments import list_segments
from tests.audit.proof.journals import AT, KEY, ORIGIN, edit_lines, make_journal, record, sign


def state(*folders: Path) -> dict[str, Any]:
    return journal_state(ProvedJournal(JournalFiles(folders), ORIGIN, (KEY,)))


def test_what_is_there_and_what_is_signed(tmp_path: Path) -> None:
    make_journal(tmp_path, compressed=True)
    edit_lines(tmp_path, 2, lambda lines: lines.append(record(28)))
    found = state(tmp_path)
    assert (found["segments"], found["lines"], found["signed"], found["unsigned"]) == (3, 28, 27, 1)
    assert (found["first_at"], found["last_at"]) == (
        "2026-11-29T10:00:00.000001+00:00",
        "2026-11-29T10:00:00.000028+00:00",
    )
    assert (found["signed_at"], found["keys"], found["witnesses"]) == (AT.isoformat(), [KEY.text], [])
    assert found["bytes"] == sum(each.size for each in list_segments(tmp_path))
    assert (found["removed"], found["fault"]) == (0, None)


def test_lines_that_retention_removed_are_counted(tmp_path: Path) -> None:
    make_journal(tmp_path)
    list_segments(tmp_path)[0].path.unlink()
    found = state(tmp_path)
    assert (found["segments"], found["lines"], found["removed"]) == (2, 27, 10)


def test_a_segment_that_was_just_begun_has_no_last_line(tmp_path: Path) -> None:
    make_journal(tmp_path, [10, 10])
    (tmp_path / f"{20:020}.jsonl").touch()
    found = state(tmp_path)
    assert (found["lines"], found["last_at"]) == (20, "2026-11-29T10:00:00.000020+00:00")


def test_a_journal_without_a_line_or_a_checkpoint(tmp_path: Path) -> None:
    found = state(tmp_path)
    assert (found["lines"], found["signed"], found["signed_at"], found["first_at"]) == (0, 0, None, None)


def test_a_checkpoint_that_does_not_count_is_a_fault(tmp_path: Path) -> None:
    lines = make_journal(tmp_path, [10])
    write_checkpoint(tmp_path, sign(lines, origin="another"), AT)
    found = state(tmp_path)
    assert (found["signed"], found["unsigned"]) == (0, 10)
    assert "it is of the journal `another`" in found["fault"]
    (tmp_path / CHECKPOINTS).unlink()
    (tmp_path / NEWEST).write_text("nothing")
    assert "does not count" in state(tmp_path)["fault"]


def test_lines_that_are_no_records_have_no_time(tmp_path: Path) -> None:
    make_journal(tmp_path, [2], lines=[b"{}", b"what"])
    found = state(tmp_path)
    assert (found["lines"], found["first_at"], found["last_at"]) == (2, None, None)
