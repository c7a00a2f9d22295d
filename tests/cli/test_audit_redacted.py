from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.audit.journal import Journal
from pgjit.audit.redaction.salts import SaltFiles
from pgjit.audit.sinks import SegmentSink
from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.errors import JournalUnavailable
from tests.audit.audit_events import AT, execution
from tests.audit.redaction.test_redacted_record import COLUMNS, TOUCHED

EVENT = replace(execution("SELECT 's3cr3t'"), context=COLUMNS, summary=TOUCHED)


@pytest.fixture
async def journal(tmp_path: Path) -> Path:
    folder = tmp_path / "journal"
    journal = Journal.open(SegmentSink(folder), salts=SaltFiles(folder))
    journal.append([EVENT, execution()])
    await journal.close()
    return folder


def asked(journal: Path, *arguments: str) -> int:
    return run(["audit", "redacted", *arguments, "--journal", str(journal)])


def test_the_members_of_a_record_are_listed_with_their_salts(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(journal, "1") == Status.OK
    assert capsys.readouterr().out.startswith("statement/1  commitment ")
    assert asked(journal, "s_1/1", "--json") == Status.OK
    (value,) = json.loads(capsys.readouterr().out)["values"]
    assert value["member"] == "statement/1"
    assert len(value["salt"]) == 32


def test_a_value_is_proved_with_the_journal_and_without_it(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(journal, "1", "--member", "statement/1", "--value", "s3cr3t") == Status.OK
    assert capsys.readouterr().out == "it holds: this value stood in statement/1\n"
    assert asked(journal, "1", "--member", "statement/1", "--value", "other") == Status.FAILED
    assert capsys.readouterr().err == "error: another value stood in statement/1 [value-differs]\n"
    assert asked(journal, "1", "--json") == Status.OK
    salt = json.loads(capsys.readouterr().out)["values"][0]["salt"]
    file = tmp_path / "record.json"
    file.write_bytes((journal / f"{0:020}.jsonl").read_bytes().splitlines()[0])
    checked = ["audit", "check-value", str(file), "--member", "statement/1", "--salt"]
    assert run([*checked, salt, "--value", "s3cr3t"]) == Status.OK
    assert run([*checked, salt, "--value", "other"]) == Status.FAILED
    assert run([*checked, "0" * 32, "--value", "s3cr3t"]) == Status.FAILED
    capsys.readouterr()
    assert run([*checked, "xyz", "--value", "s3cr3t"]) == Status.USAGE
    assert "Invalid value" not in (error := capsys.readouterr().err)
    assert "--salt is 32 hexadecimal digits" in error
    file.write_bytes(b"no record")
    assert run([*checked, salt, "--value", "s3cr3t"]) == Status.FAILED


def test_without_the_salts_no_value_can_be_tested(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (journal / "salts" / AT.date().isoformat()).unlink()
    assert asked(journal, "1") == Status.OK
    assert capsys.readouterr().out.endswith("  salt erased\n")
    assert asked(journal, "1", "--member", "statement/1", "--value", "s3cr3t") == Status.FAILED
    assert "[salts-erased]" in capsys.readouterr().err


def test_a_record_is_found_in_an_archive_and_not_in_another_journal(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, archive = tmp_path / "pgjit.yaml", tmp_path / "archive"
    config.write_text("journal: {archive: archive}\n")
    copies, other = archive / "node" / "0" / "own", archive / "node" / "0" / "another"
    for folder, origin in ((copies, "node/0/own"), (other, "node/0/another")):
        folder.mkdir(parents=True)
        (folder / "origin").write_text(f"{origin}\n")
        (folder / f"{0:020}.jsonl").write_bytes(b'{"v":1,"seq":1,"time":""}\n')
    (journal / "origin").write_text("node/0/own\n")
    (journal / f"{0:020}.jsonl").rename(copies / f"{0:020}.jsonl")
    (journal / f"{2:020}.jsonl").touch()
    assert run(["audit", "redacted", "1", "--config", str(config)]) == Status.OK
    assert capsys.readouterr().out.startswith("statement/1  commitment ")
    assert asked(journal, "1", "--journal", str(copies)) == Status.OK
    capsys.readouterr()
    assert asked(journal, "1", "--journal", str(archive)) == Status.USAGE
    assert "of one journal" in capsys.readouterr().err


def test_what_cannot_be_asked_says_why(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(journal, "2") == Status.FAILED
    assert capsys.readouterr().err == "error: nothing in this record is redacted [not-redacted]\n"
    assert asked(journal, "9") == Status.FAILED
    assert asked(journal, "1", "--member", "statement/7", "--value", "x") == Status.FAILED
    capsys.readouterr()
    assert asked(journal, "1", "--member", "statement/1") == Status.USAGE
    assert "Invalid value" not in (error := capsys.readouterr().err)
    assert "give both --member and --value, or none" in error


async def test_a_journal_without_a_place_for_salts_takes_no_record_that_needs_one(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal = Journal.open(SegmentSink(folder), salts=SaltFiles(folder))
    (folder / "salts").write_bytes(b"in the way")
    with pytest.raises(JournalUnavailable):
        journal.append([EVENT])
    assert journal.seq == 0
    (folder / "salts").unlink()
    journal.append([EVENT])
    await journal.close()
