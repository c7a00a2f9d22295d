from __future__ import annotations

import json
import shutil
from pathlib import Path

import fsspec
import pytest
import zstandard

from pgjit.audit.keeping.archive import Archive
from pgjit.audit.proof.key_file import default_key_path, new_private_key, public_pem
from pgjit.audit.segments import list_segments
from pgjit.cli.run import run
from pgjit.cli.status import Status
from tests.audit.proof.journals import AT, KEY, ORIGIN, edit_lines, make_journal, record, sign
from tests.run.rows import table

LINES = list(map(record, range(1, 28)))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    make_journal(tmp_path / "journal", compressed=True)
    return tmp_path / "journal"


def test_an_intact_journal(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_lines(journal, 2, lambda lines: lines.append(record(28)))
    assert run(["audit", "verify", str(journal), "--key", KEY.text]) == Status.OK
    printed = capsys.readouterr()
    assert printed.out == (
        f"journal {ORIGIN}: intact\n"
        "  28 lines in 3 segments, 8 checkpoints hold\n"
        "  signed up to line 27\n"
        "  1 lines after the newest checkpoint are not signed yet\n"
    )
    assert printed.err == ""


def test_a_changed_line_is_named_and_the_exit_code_is_1(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_lines(journal, 1, lambda lines: lines.__setitem__(3, record(14, "SELECT 2")))
    assert run(["audit", "verify", str(journal), "--key", KEY.text]) == Status.FAILED
    out = capsys.readouterr().out
    assert f"journal {ORIGIN}: NOT INTACT\n" in out
    assert (
        "  00000000000000000010.jsonl.zst:4 (record 14): changed: this line differs from the one that was signed\n"
        in out
    )
    assert run(["audit", "verify", str(journal), "--key", KEY.text, "--json"]) == Status.FAILED
    (document,) = json.loads(capsys.readouterr().out)
    assert (document["intact"], document["signed"]) == (False, 12)
    assert document["findings"][0]["line"] == 4


@table("form", ["note", "lines", "folder", "without-newline"])
def test_a_cut_end_is_found_by_a_checkpoint_that_was_kept_elsewhere(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal, kept = tmp_path / form / "journal", tmp_path / form / "kept"
    make_journal(journal, [10, 10], lines=LINES[:20])
    kept.mkdir()
    file = kept / "checkpoints.jsonl"
    if form == "note":
        file.write_bytes(sign(LINES).note.content())
    else:
        from pgjit.audit.proof.checkpoint_log import checkpoint_line

        other = checkpoint_line(sign(LINES, origin="another"), AT) + b"\n" if form == "folder" else b""
        end = b"" if form == "without-newline" else b"\n"
        file.write_bytes(checkpoint_line(sign(LINES), AT) + end + other)
    arguments = ["audit", "verify", str(journal), "--key", KEY.text]
    assert run(arguments) == Status.OK
    capsys.readouterr()
    assert run([*arguments, "--checkpoint", str(kept if form == "folder" else file)]) == Status.FAILED
    out, err = capsys.readouterr()
    assert "cut: the journal ends after line 20, and" in out
    assert "other-origin" not in out
    assert ("a checkpoint that was given is of `another`, which is not here" in err) == (form == "folder")


def test_half_a_checkpoint_is_not_none(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kept"
    file.write_bytes((journal / "checkpoints.jsonl").read_bytes()[:60])
    assert run(["audit", "verify", str(journal), "--key", KEY.text, "--checkpoint", str(file)]) == Status.FAILED
    assert "kept:1 is rejected: it is not a line with a checkpoint" in capsys.readouterr().out


def test_a_checkpoint_of_another_journal_is_a_finding(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = journal.with_name("kept")
    file.write_bytes(sign(LINES, origin="another").note.content())
    arguments = ["audit", "verify", str(journal), "--key", KEY.text, "--checkpoint", str(file)]
    assert run(arguments) == Status.FAILED
    assert f"other-origin: {file} is of the journal `another`, not `{ORIGIN}`" in capsys.readouterr().out


def test_archived_segments_are_given_as_folders(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = journal.with_name("archive")
    archive.mkdir()
    for segment in list_segments(journal)[:2]:
        segment.path.rename(archive / segment.name)
    assert run(["audit", "verify", str(journal), str(archive), "--key", KEY.text]) == Status.OK
    assert "27 lines in 3 segments" in capsys.readouterr().out
    shutil.rmtree(journal)
    assert run(["audit", "verify", str(archive), "--key", KEY.text]) == Status.FAILED  # no checkpoint is left
    assert "checkpoint-missing" in capsys.readouterr().out


def test_a_folder_of_several_journals_stands_for_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    public = tmp_path / "public.pem"
    public.write_text(public_pem(KEY.public))
    for name in ("w0", "w1"):
        make_journal(tmp_path / "journals" / name)
    edit_lines(tmp_path / "journals" / "w1", 0, lambda lines: lines.pop(0))
    (tmp_path / "journals" / "w1" / "origin").write_text("another/w1\n")
    assert run(["audit", "verify", str(tmp_path / "journals"), "--key", str(public)]) == Status.FAILED
    out = capsys.readouterr().out
    assert f"journal {ORIGIN}: intact" in out
    assert "journal another/w1: NOT INTACT" in out


def test_an_archive_has_its_journals_below_their_origins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_journal(tmp_path / "journal", compressed=True)
    below = tmp_path / "archive" / ORIGIN
    below.mkdir(parents=True)
    for name in ("origin", "checkpoint", "checkpoints.jsonl"):
        shutil.copy(tmp_path / "journal" / name, below)
    for segment in list_segments(tmp_path / "journal")[:2]:
        segment.path.rename(below / segment.name)
    folders = [str(tmp_path / name) for name in ("journal", "archive")]
    assert run(["audit", "verify", *folders, "--key", KEY.text]) == Status.OK
    assert "27 lines in 3 segments" in capsys.readouterr().out
    (tmp_path / "pgjit.yaml").write_text("journal: {folder: journal, archive: archive}\n")
    assert run(["audit", "verify", "--config", str(tmp_path / "pgjit.yaml"), "--key", KEY.text]) == Status.OK
    assert "27 lines in 3 segments" in capsys.readouterr().out


def test_the_configuration_names_folder_and_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = new_private_key(default_key_path(tmp_path / "records"))
    make_journal(tmp_path / "records", private=key)
    config = tmp_path / "pgjit.yaml"
    config.write_text("journal: {folder: records}\nidentity: its faults do not matter here\n")
    assert run(["audit", "verify", "--config", str(config)]) == Status.OK
    assert "give --key with one that was kept elsewhere" in capsys.readouterr().err
    config.write_text(f"journal: {{folder: records, checkpoint: {{previous_keys: ['{KEY.text}']}}}}\n")
    assert run(["audit", "verify", "--config", str(config)]) == Status.OK
    config.write_text("journal: {folder: records, checkpoint: {keys: x}}\n")
    assert run(["audit", "verify", "--config", str(config)]) == Status.INVALID
    assert "journal.checkpoint.keys: Extra inputs are not permitted" in capsys.readouterr().err


@table(
    "arguments, status, reason",
    [
        (("{journal}", "--key", "another+d65d72e8+x"), Status.USAGE, "the public key cannot be used"),
        (("{journal}", "--key", "no-such-file"), Status.UNAVAILABLE, "no-such-file: No such file"),
        (("{journal}", "--key", KEY.text, "--witness", KEY.text), Status.USAGE, "is not the key of a witness"),
        (("{journal}-x", "--key", KEY.text), Status.UNAVAILABLE, "there is no such folder"),
        (("{journal}", "--config", "{journal}-x"), Status.INVALID, "give --config, or both --journal and --key"),
        (("{journal}", "--key", KEY.text, "--checkpoint", "{empty}"), Status.USAGE, "has no file with checkpoints"),
    ],
)
def test_what_cannot_be_checked(
    arguments: tuple[str, ...], status: Status, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir(exist_ok=True)
    if not (tmp_path / "journal").exists():
        make_journal(tmp_path / "journal")
    places = {"journal": tmp_path / "journal", "empty": tmp_path / "empty"}
    assert run(["audit", "verify", *(argument.format(**places) for argument in arguments)]) == status
    assert reason in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_key_of_another_journal_is_refused(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (journal / "origin").write_text("another\n")
    assert run(["audit", "verify", str(journal), "--key", KEY.text]) == Status.USAGE
    assert "no key is for the journal" in capsys.readouterr().err


def test_an_archive_in_an_object_store_is_verified_proved_and_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, url = tmp_path / "journal", f"memory://{tmp_path.name}"
    make_journal(folder, compressed=True)
    archive = Archive(url, folder, lambda: ORIGIN)
    first, second, _ = list_segments(folder)
    for segment in (first, second):
        archive.copy(segment)
        segment.path.unlink()
    config = tmp_path / "pgjit.yaml"
    config.write_text(f"journal: {{folder: journal, archive: '{url}'}}\n")
    for places in (["--config", str(config)], [str(folder), url], [str(folder), f"{url}/{ORIGIN}"]):
        assert run(["audit", "verify", *places, "--key", KEY.text]) == Status.OK
        assert "27 lines in 3 segments" in capsys.readouterr().out
    assert run(["audit", "verify", url, "--key", KEY.text]) == Status.FAILED
    assert "cut: the journal ends after line 20" in capsys.readouterr().out
    assert run(["audit", "verify", f"{url}/none", "--key", KEY.text]) == Status.UNAVAILABLE
    assert f"error: {url}/none: there is no segment of a journal" in capsys.readouterr().err
    proof = tmp_path / "proof"
    assert run(["audit", "prove", "5", "--out", str(proof), "--config", str(config), "--key", KEY.text]) == Status.OK
    assert run(["audit", "check-proof", str(proof), "--key", KEY.text]) == Status.OK
    store, root = fsspec.core.url_to_fs(url)
    object_ = f"{root}/{ORIGIN}/{second.name}"
    changed = zstandard.decompress(store.cat_file(object_)).replace(b"SELECT 1", b"SELECT 2", 1)
    store.pipe_file(object_, zstandard.compress(changed))
    capsys.readouterr()
    assert run(["audit", "verify", "--config", str(config), "--key", KEY.text]) == Status.FAILED
    assert f"{second.name}:1 (record 11): changed" in capsys.readouterr().out
