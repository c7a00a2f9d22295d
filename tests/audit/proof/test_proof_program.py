"""The questions about proof: each has its answer, or a fault with its words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pgjit.audit.proof.inclusion_file import InclusionFile
from pgjit.audit.proof.proof_program import answer_about_proof
from tests.audit.proof.journals import KEY, ORIGIN, edit_lines, make_journal, record
from tests.run.rows import table

LINES = [record(seq).replace(b'"execution",', b'"execution","execution":"abc/%d",' % seq) for seq in range(1, 28)]


def asked(folder: Path, ask: str, **members: object) -> dict[str, Any]:
    source = {"folders": [str(folder)], "archive": None, "beside": str(folder.parent), "keys": [KEY.text]}
    return answer_about_proof({**source, "ask": ask, **members})


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    make_journal(tmp_path / "journal", lines=LINES, compressed=True)
    return tmp_path / "journal"


def test_the_state_and_a_verification_of_every_journal(journal: Path) -> None:
    steps: list[tuple[int, int]] = []
    source = {"folders": [str(journal)], "beside": str(journal.parent), "keys": [KEY.text]}
    found = answer_about_proof({**source, "ask": "verify"}, lambda done, whole: steps.append((done, whole)))
    [result] = found["journals"]
    assert (result["origin"], result["intact"], result["lines"], result["findings"]) == (ORIGIN, True, 27, [])
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1][0] == steps[-1][1] > 0
    assert asked(journal, "journals")["journals"][0]["signed"] == 27


def test_a_changed_line_is_named(journal: Path) -> None:
    edit_lines(journal, 1, lambda lines: lines.__setitem__(3, record(14, "SELECT 2")))
    [result] = asked(journal, "verify")["journals"]
    assert result["intact"] is False
    assert (result["findings"][0]["kind"], result["findings"][0]["line"]) == ("changed", 4)
    fault = asked(journal, "prove", record="14")["fault"]
    assert (fault["reference"], fault["status"]) == ("cannot-prove", 409)
    assert "the journal was changed" in fault["detail"]


@table("name", ["14", "abc/14"])
def test_the_proof_of_a_record_holds_by_the_public_key_alone(name: str, journal: Path) -> None:
    found = asked(journal, "prove", record=name, journal=ORIGIN if name == "14" else None)
    proof = InclusionFile.parse(found["file"].encode())
    proof.check([KEY])
    assert (proof.line, found["size"]) == (LINES[13], 27)


def test_what_cannot_be_proved(journal: Path) -> None:
    edit_lines(journal, 2, lambda lines: lines.append(record(28)))
    rows: list[tuple[dict[str, str], str, int]] = [
        ({"record": "99"}, "record-unknown", 404),
        ({"record": "abc/99"}, "record-unknown", 404),
        ({"record": "x"}, "record-unknown", 404),
        ({"record": "14", "journal": "another"}, "record-unknown", 404),
        ({"record": "28"}, "not-signed-yet", 409),
    ]
    for members, reference, status in rows:
        fault = asked(journal, "prove", **members)["fault"]
        assert (members, fault["reference"], fault["status"]) == (members, reference, status)


def test_a_journal_for_which_no_key_is_configured_cannot_be_checked(tmp_path: Path) -> None:
    for name in ("w0", "w1"):
        make_journal(tmp_path / "journals" / name)
    (tmp_path / "journals" / "w1" / "origin").write_text("another/w1\n")
    fault = asked(tmp_path / "journals", "prove", record="14")["fault"]
    assert (fault["reference"], fault["status"]) == ("proof-unavailable", 503)
    assert "no key is for the journal `another/w1`" in fault["detail"]


def test_no_folder_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    fault = asked(tmp_path / "none", "journals")["fault"]
    assert (fault["reference"], fault["status"]) == ("proof-unavailable", 503)
    make_journal(tmp_path / "journal")
    with pytest.raises(ValueError, match="no question is called"):
        asked(tmp_path / "journal", "nothing")
