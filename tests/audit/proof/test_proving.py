from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pgjit.audit.proof.checkpoint_log import CHECKPOINTS, NEWEST
from pgjit.audit.proof.inclusion_file import InclusionFile
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.note import VerifierKey
from pgjit.audit.proof.proving import CannotProve, prove_record
from pgjit.audit.segments import list_segments
from tests.audit.proof.journals import KEY, ORIGIN, edit_lines, make_journal, record
from tests.run.rows import table

LINES = [
    record(seq).replace(b'"execution",', b'"execution","execution":"abc/%d",' % seq if seq % 2 else b'"outcome",')
    for seq in range(1, 28)
]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journal")
    make_journal(folder, lines=LINES, compressed=True)
    return folder


def test_every_line_has_a_proof_that_the_public_key_alone_checks(journal: Path) -> None:
    for seq in range(1, 28):
        content = prove_record(JournalFiles([journal]), str(seq), [KEY]).content()
        proof = InclusionFile.parse(content)
        proof.check([VerifierKey.parse(KEY.text)])
        assert (proof.line, proof.line_index) == (LINES[seq - 1], seq - 1)


def test_an_execution_is_named_by_its_id(journal: Path) -> None:
    assert prove_record(JournalFiles([journal]), "abc/13", [KEY]).line == LINES[12]


def test_numbers_may_have_a_gap(tmp_path: Path) -> None:
    lines = [record(1), *map(record, range(8, 20))]
    make_journal(tmp_path, [5, 8], lines=lines)
    for number in (1, 8, 11, 12, 19):
        assert prove_record(JournalFiles([tmp_path]), str(number), [KEY]).line == record(number)
    with pytest.raises(CannotProve, match="there is no record 7"):
        prove_record(JournalFiles([tmp_path]), "7", [KEY])


def test_archived_and_removed_segments_are_no_obstacle(journal: Path, tmp_path: Path) -> None:
    folder, archive = Path(shutil.copytree(journal, tmp_path / "journal")), tmp_path / "archive"
    archive.mkdir()
    first, second = (segment.path for segment in list_segments(folder)[:2])
    first.unlink()
    second.rename(archive / second.name)
    prove_record(JournalFiles([folder, archive]), "14", [KEY]).check([KEY])
    with pytest.raises(CannotProve, match="there is no record 4 in these segments"):
        prove_record(JournalFiles([folder, archive]), "4", [KEY])


@table(
    "name, reason",
    [
        ("28", "record 28 is line 28, and the newest checkpoint covers 27 lines: it is not signed yet"),
        ("99", "there is no record 99"),
        ("0", "there is no record 0"),
        ("abc/2", "there is no execution abc/2"),
        ("x", "`x` is not a record"),
    ],
)
def test_what_cannot_be_proved_is_refused(name: str, reason: str, journal: Path, tmp_path: Path) -> None:
    folder = tmp_path / name.replace("/", "_")
    shutil.copytree(journal, folder)
    edit_lines(folder, 2, lambda lines: lines.append(record(28)))
    with pytest.raises(CannotProve, match=reason):
        prove_record(JournalFiles([folder]), name, [KEY])


def test_a_journal_that_was_changed_gives_no_proof(journal: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(journal, tmp_path / "journal"))
    edit_lines(folder, 1, lambda lines: lines.__setitem__(3, record(14, "SELECT 2")))
    with pytest.raises(CannotProve, match=r"the journal was changed: .*`pgjit audit verify` names the line"):
        prove_record(JournalFiles([folder]), "14", [KEY])
    with pytest.raises(CannotProve, match="the newest checkpoint cannot be used: it is not signed by the given key"):
        prove_record(JournalFiles([journal]), "14", [VerifierKey.of(ORIGIN, bytes(32))])
    (folder / NEWEST).unlink()
    (folder / CHECKPOINTS).unlink()
    with pytest.raises(CannotProve, match="the newest checkpoint covers 0 lines"):
        prove_record(JournalFiles([folder]), "14", [KEY])
