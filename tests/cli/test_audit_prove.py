from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from pgjit.audit.proof.note import VerifierKey
from pgjit.cli.run import run
from pgjit.cli.status import Status
from tests.audit.proof.journals import KEY, ORIGIN, make_journal, record


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_journal(tmp_path / "journal")
    return tmp_path / "journal"


def test_a_record_is_proved_to_who_has_the_public_key_alone(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "prove", "14", "--journal", str(journal), "--key", KEY.text]) == Status.OK
    assert capsys.readouterr().out == f"record-14.tlog-proof: line 14 of 27 of the journal {ORIGIN}\n"
    for path in journal.iterdir():
        path.unlink()
    assert run(["audit", "check-proof", "record-14.tlog-proof", "--key", KEY.text]) == Status.OK
    printed = capsys.readouterr()
    assert printed.out == record(14).decode() + "\n"
    assert printed.err == f"it holds: line 14 of 27 of the journal {ORIGIN}\n"


def test_a_proof_that_was_changed_does_not_hold(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "prove", "14", "--journal", str(journal), "--key", KEY.text, "--out", "-"]) == Status.OK
    content = capsys.readouterr().out.encode()
    for old, new in (
        (b"index 13", b"index 12"),
        (b"extra ", b"extra AAAA"),
        (b"tlog-proof@v1", b"x"),
        (b"\n27\n", b"\n28\n"),
    ):
        (tmp_path / "changed").write_bytes(content.replace(old, new))
        assert run(["audit", "check-proof", "changed", "--key", KEY.text]) == Status.FAILED
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "does not hold" in printed.err
        assert "[proof-refused]" in printed.err


def test_a_record_that_is_not_there_has_no_proof(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "prove", "99", "--journal", str(journal), "--key", KEY.text]) == Status.FAILED
    assert capsys.readouterr().err == "error: there is no record 99 in these segments [cannot-prove]\n"
    assert list(journal.parent.glob("*.tlog-proof")) == []


def test_a_key_is_made_and_its_public_half_is_shown(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "key", "new", "journal.key"]) == Status.OK
    pem = capsys.readouterr().out
    assert pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert stat.S_IMODE((tmp_path / "journal.key").stat().st_mode) == 0o600
    assert run(["audit", "key", "new", "journal.key"]) == Status.UNAVAILABLE
    assert "journal.key: File exists" in capsys.readouterr().err
    (tmp_path / "pgjit.yaml").write_text("journal: {folder: journal}\n")
    assert run(["audit", "key", "show"]) == Status.OK
    line, _, rest = capsys.readouterr().out.partition("\n")
    assert rest == pem
    assert VerifierKey.parse(line).name == ORIGIN
    assert run(["audit", "key", "show", "--json", "--key", KEY.text]) == Status.OK
    assert json.loads(capsys.readouterr().out)[0]["key"] == KEY.text
