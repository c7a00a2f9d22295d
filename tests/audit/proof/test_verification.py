from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pgjit.audit.proof.checkpoint_log import CHECKPOINTS, NEWEST, read_checkpoints, write_checkpoint
from pgjit.audit.proof.finding import ProofFinding
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.note import VerifierKey
from pgjit.audit.proof.verification import JournalVerification, verify
from pgjit.audit.proof.witness import Witness
from pgjit.audit.segments import list_segments
from tests.audit.proof.journals import (
    AT,
    KEY,
    ORIGIN,
    edit_lines,
    make_journal,
    record,
    sign,
    verified,
    without_leaves,
)
from tests.audit.proof.witnessing import URL, WITNESS, WitnessServer
from tests.run.rows import table

OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
LINES = list(map(record, range(1, 28)))
Edit = Callable[[list[bytes]], object]


@pytest.fixture(scope="module")
def plain_journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Segments with the lines 1-10, 11-20 and 21-27; checkpoints at 4, 8, 10, 12, 16, 20, 24 and 27."""
    folder = tmp_path_factory.mktemp("plain")
    make_journal(folder)
    return folder


@pytest.fixture(scope="module")
def compressed_journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compressed")
    make_journal(folder, compressed=True)
    return folder


@pytest.fixture(params=["plain", "compressed"])
def journal(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return copied(request.getfixturevalue(f"{request.param}_journal"), tmp_path / "journal")


def copied(folder: Path, to: Path) -> Path:
    if to.exists():
        shutil.rmtree(to)
    return Path(shutil.copytree(folder, to))


def named(found: JournalVerification) -> list[tuple[str, str, int | None]]:
    """Kind, place with the first line of the segment instead of its file's name, and number of the record."""
    assert not found.intact
    return [(finding.kind, _short(finding), finding.seq) for finding in found.findings]


def _short(finding: ProofFinding) -> str:
    name, colon, line = finding.place.partition(":")
    return name.partition(".")[0].lstrip("0").zfill(1) + colon + line if name else ""


def test_an_untouched_journal_is_intact(journal: Path) -> None:
    found = verified(journal, given=[("kept", sign(LINES))])
    assert found.intact
    assert (found.lines, found.segments, found.signed, found.removed, found.origin) == (27, 3, 27, 0, ORIGIN)
    assert found.checkpoints == 8


def test_lines_after_the_newest_checkpoint_are_not_proved_yet(journal: Path) -> None:
    edit_lines(journal, 2, lambda lines: lines.append(record(28)))
    found = verified(journal)
    assert found.intact
    assert (found.lines, found.signed) == (28, 27)


def swap(lines: list[bytes]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def renumber(lines: list[bytes]) -> None:
    """Remove record 14, so that the numbers show nothing."""
    del lines[3]
    lines[3:] = [line.replace(b'"seq":%d,' % seq, b'"seq":%d,' % (seq - 1)) for seq, line in enumerate(lines[3:], 15)]


EDITS: dict[str, tuple[Edit, tuple[str, str, int | None]]] = {
    "edit": (lambda lines: lines.__setitem__(3, record(14, "SELECT 2")), ("changed", "10:4", 14)),
    "edit the first line": (lambda lines: lines.__setitem__(0, record(11, "SELECT 2")), ("changed", "10:1", 11)),
    "edit the last line": (lambda lines: lines.__setitem__(9, record(20, "SELECT 2")), ("changed", "10:10", 20)),
    "add a space": (lambda lines: lines.__setitem__(3, lines[3] + b" "), ("changed", "10:4", 14)),
    "delete": (lambda lines: lines.pop(3), ("removed", "10:4", 15)),
    "delete the last line": (lambda lines: lines.pop(), ("removed", "10:10", None)),
    "reorder": (swap, ("moved", "10:4", 15)),
    "duplicate": (lambda lines: lines.insert(3, lines[2]), ("added", "10:4", 13)),
    "add": (lambda lines: lines.insert(3, record(99)), ("added", "10:4", 99)),
    "copy from afar": (lambda lines: lines.__setitem__(3, lines[8]), ("moved", "10:4", 19)),
    "remove and renumber": (renumber, ("changed", "10:4", 14)),
    "not a record": (lambda lines: lines.__setitem__(3, b"x"), ("changed", "10:4", None)),
}


@pytest.mark.parametrize("form", ["plain", "compressed"])
def test_what_was_done_to_a_line_is_found_and_its_place_named(
    form: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    untouched = request.getfixturevalue(f"{form}_journal")
    for name, (edit, expected) in EDITS.items():
        folder = copied(untouched, tmp_path / "journal")
        edit_lines(folder, 1, edit)
        found = named(verified(folder))
        assert expected in found, name
        assert found[0][1] == expected[1], name  # the first of the findings names the first bad line


@table("name", EDITS)
def test_without_the_kept_hashes_the_checkpoints_still_bound_the_place(
    name: str, plain_journal: Path, tmp_path: Path
) -> None:
    folder = copied(plain_journal, tmp_path / "journal")
    edit_lines(folder, 1, EDITS[name][0])
    without_leaves(folder)
    kinds = {finding.kind for finding in verified(folder).findings}
    assert kinds & {"root-differs", "removed", "added"}
    assert all(finding.segment != list_segments(folder)[0].name for finding in verified(folder).findings)


def test_hashes_that_were_changed_with_their_line_are_not_believed(journal: Path) -> None:
    edit_lines(journal, 1, lambda lines: lines.__setitem__(3, record(14, "SELECT 2")))
    forged = copied(journal, journal.with_name("forged"))
    make_journal(forged, lines=[*LINES[:13], record(14, "SELECT 2"), *LINES[14:]])
    for path in forged.glob("*.leaves"):
        shutil.copy(path, journal)
    (finding,) = verified(journal).findings
    assert (finding.kind, _short(finding)) == ("root-differs", "10:3")
    assert "the lines 13 to 16 of the journal are not those that" in finding.message


def test_a_cut_tail_is_found_against_a_checkpoint_that_was_kept(journal: Path) -> None:
    kept = sign(LINES)
    make_shorter = copied(journal, journal.with_name("short"))
    edit_lines(make_shorter, 2, lambda lines: lines.__delitem__(slice(4, None)))
    (make_shorter / NEWEST).write_bytes(sign(LINES[:24]).note.content())
    history = (make_shorter / CHECKPOINTS).read_bytes().splitlines(keepends=True)
    (make_shorter / CHECKPOINTS).write_bytes(b"".join(history[:-1]))
    assert verified(make_shorter).intact  # nothing in the folder shows it
    found = verified(make_shorter, given=[("kept", kept)])
    assert named(found) == [("cut", "20:5", None)]
    assert found.findings[0].message == "the journal ends after line 24, and kept covers 27 lines"


def test_a_cut_tail_is_found_against_the_checkpoints_in_the_folder(journal: Path) -> None:
    edit_lines(journal, 2, lambda lines: lines.__delitem__(slice(4, None)))
    assert ("cut", "20:5", None) in named(verified(journal))


def test_a_journal_without_lines_is_cut(journal: Path) -> None:
    for segment in list_segments(journal):
        segment.path.unlink()
    assert named(verified(journal)) == [("cut", "", None)]


def test_swapped_segments_are_found(journal: Path) -> None:
    one, two = (segment.path for segment in list_segments(journal)[:2])
    aside = journal / "aside"
    one.rename(aside)
    two.rename(one)
    aside.rename(two)
    found = named(verified(journal))
    assert found[0] == ("changed", "0:1", 11)
    assert ("moved", "10:1", 1) in found  # record 1 cannot be line 11


def test_a_missing_segment_is_found(journal: Path) -> None:
    list_segments(journal)[1].path.unlink()
    found = verified(journal)
    assert named(found)[0][0] == "removed"
    assert "lines 11 to 20 of the journal are missing" in found.findings[0].message


def test_a_duplicated_segment_is_found(journal: Path) -> None:
    first, last = list_segments(journal)[0].path, list_segments(journal)[2].path
    shutil.copy(first, last.with_name(first.name.replace("0" * 20, f"{27:020}")))
    found = named(verified(journal))
    assert ("moved", "27:1", 1) in found


def test_a_damaged_compressed_segment_is_found(compressed_journal: Path, tmp_path: Path) -> None:
    folder = copied(compressed_journal, tmp_path / "journal")
    path = list_segments(folder)[1].path
    path.write_bytes(path.read_bytes()[:-20])
    assert ("segment-damaged", "10:1", None) in named(verified(folder))


def rewritten(folder: Path) -> None:
    """Everything is made anew by who has no key: other lines, hashes and checkpoints."""
    for path in folder.iterdir():
        path.unlink()
    make_journal(folder, lines=[record(seq, "SELECT 2") for seq in range(1, 28)], private=OTHER)


def test_a_journal_rewritten_without_the_key_is_found(journal: Path) -> None:
    rewritten(journal)
    found = named(verified(journal))
    assert {kind for kind, _, _ in found} == {"checkpoint-rejected"}
    found = named(verified(journal, given=[("kept", sign(LINES[:20]))]))
    assert ("root-differs", "0:1", None) in found


def test_a_journal_rewritten_without_checkpoints_is_found(journal: Path) -> None:
    rewritten(journal)
    (journal / NEWEST).unlink()
    (journal / CHECKPOINTS).unlink()
    assert named(verified(journal)) == [("checkpoint-missing", "", None)]
    for segment in list_segments(journal):
        segment.path.unlink()
    assert named(verified(journal)) == [("checkpoint-missing", "", None)]


def test_a_checkpoint_of_another_origin_is_no_proof(journal: Path) -> None:
    (finding,) = verified(journal, given=[("kept", sign(LINES, origin="another/w1"))]).findings
    assert finding.kind == "other-origin"
    assert finding.message == f"kept is of the journal `another/w1`, not `{ORIGIN}`"


def test_another_key_is_no_proof(journal: Path) -> None:
    other = VerifierKey.of(ORIGIN, OTHER.public_key().public_bytes_raw())
    found = verify(JournalFiles([journal]), ORIGIN, [other], processes=1)
    assert found.findings[0].kind == "checkpoint-rejected"
    assert verify(JournalFiles([journal]), ORIGIN, [other, KEY], processes=1).intact  # after a change of keys


def test_a_changed_checkpoint_is_found(journal: Path) -> None:
    content = (journal / CHECKPOINTS).read_bytes()
    (journal / CHECKPOINTS).write_bytes(content.replace(b"\\n12\\n", b"\\n13\\n"))
    (finding,) = verified(journal).findings
    assert finding.kind == "checkpoint-rejected"
    assert finding.message.startswith(f"{journal / CHECKPOINTS}:4 is rejected: the signature")


def test_half_a_line_of_checkpoints_is_left_out(journal: Path) -> None:
    with (journal / CHECKPOINTS).open("ab") as file:
        file.write(b'{"time":')
    assert verified(journal).intact
    assert len(list(read_checkpoints(journal / CHECKPOINTS))) == 8


def test_a_gap_that_the_journal_records_is_no_finding(tmp_path: Path) -> None:
    gap = record(9).replace(b'"execution"', b'"journal.gap"')
    make_journal(tmp_path, [3, 2], lines=[*LINES[:2], gap, record(10), record(11)])
    assert verified(tmp_path).intact
    make_journal(tmp_path, [3, 2], lines=[*LINES[:2], record(9), record(10), record(11)])
    (tmp_path / CHECKPOINTS).unlink()
    assert ("sequence", "0:3", 9) in named(verified(tmp_path))


def test_archived_segments_are_read_from_their_folder(journal: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    for segment in list_segments(journal)[:2]:
        segment.path.rename(archive / segment.name)
    assert verified(journal, archive).intact
    assert verified(journal).lines == 7


def dropped(seq: int, lines: int) -> bytes:
    line = record(seq).replace(b'"type":"execution"', b'"type":"journal.segment.dropped"')
    return line[:-1] + b',"first":0,"lines":%d}' % lines


def test_segments_that_retention_removed_leave_their_hashes(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    make_journal(journal, lines=[*LINES[:25], dropped(26, 10), *LINES[26:]])
    list_segments(journal)[0].path.unlink()
    found = verified(journal)
    assert found.intact
    assert (found.removed, found.lines, found.signed) == (10, 17, 27)
    edit_lines(journal, 0, lambda lines: lines.__setitem__(3, record(14, "SELECT 2")))
    assert ("changed", "10:4", 14) in named(verified(journal))
    next(journal.glob("*00.subtrees")).write_bytes(b"[]")
    assert named(verified(journal))[0][0] == "segment-missing"


@pytest.mark.parametrize("lines", [LINES, [*LINES[:25], dropped(26, 10), *LINES[26:]]])
def test_segments_that_no_record_says_were_removed_are_a_finding(tmp_path: Path, lines: list[bytes]) -> None:
    journal = tmp_path / "journal"
    make_journal(journal, lines=lines)
    for segment in list_segments(journal)[:2]:
        segment.path.unlink()
    found = verified(journal)
    assert (named(found), found.signed) == ([("removed", "", None)], 27)
    assert "no record `journal.segment.dropped`" in found.findings[0].message


async def test_a_witness_has_to_have_signed(journal: Path) -> None:
    def signed_by(witness: VerifierKey) -> JournalVerification:
        return verify(JournalFiles([journal]), ORIGIN, [KEY], witnesses=[witness], processes=1)

    assert named(signed_by(WITNESS)) == [("not-witnessed", "", None)]
    server = WitnessServer(KEY)
    cosignature = await Witness(URL, WITNESS, server.client, lambda _old, _size: []).cosign(sign(LINES[:20]))
    write_checkpoint(journal, sign(LINES[:20]).with_cosignatures([cosignature]), AT)
    found = signed_by(WITNESS)
    assert found.intact
    assert [(each.name, each.size, each.at.year) for each in found.witnessed] == [(WITNESS.name, 20, 2023)]
    forged = cosignature._replace(signature=bytes(72))
    write_checkpoint(journal, sign(LINES).with_cosignatures([forged]), AT)
    assert named(signed_by(WITNESS)) == [("checkpoint-rejected", "", None)] * 2  # it is in both files


@pytest.mark.live
def test_several_processes_find_the_same(
    plain_journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = copied(plain_journal, tmp_path / "journal")
    monkeypatch.setattr("pgjit.audit.proof.verification._WORTH_PROCESSES", 0)
    edit_lines(journal, 1, swap)
    assert verify(JournalFiles([journal]), ORIGIN, [KEY], processes=2) == verified(journal)
