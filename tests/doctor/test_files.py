"""Which rights of a file are a danger, by what is in it."""

from __future__ import annotations

import os
from pathlib import Path

from pgjit.doctor.files import ConfiguredFile, FileKind, file_findings
from pgjit.doctor.finding import Severity
from tests.run.rows import table

SECRET, RULE, DATA = FileKind
ME = os.getuid() or 4711


def dangers(*files: ConfiguredFile, user: int = ME) -> dict[str, Severity]:
    return {each.reference: each.severity for each in file_findings(files, user)}


def made(folder: Path, mode: int, kind: FileKind) -> ConfiguredFile:
    path = folder / "file"
    path.touch()
    path.chmod(mode)
    os.chown(path, ME if os.getuid() == 0 else -1, -1)
    return ConfiguredFile("some.key", path, kind)


@table(
    ("mode", "kind", "reference"),
    [
        (0o600, SECRET, "files"), (0o640, SECRET, "files"), (0o400, SECRET, "files"),
        (0o644, SECRET, "secret-readable"), (0o604, SECRET, "secret-readable"), (0o660, SECRET, "file-writable"),
        (0o602, SECRET, "file-writable"),
        (0o644, RULE, "files"), (0o664, RULE, "files"), (0o646, RULE, "file-writable"),
        (0o600, DATA, "files"), (0o640, DATA, "files"), (0o644, DATA, "data-readable"),
        (0o642, DATA, "file-writable"),
    ],
    ids=str,
)  # fmt: skip
def test_rights_are_judged_by_what_the_file_holds(tmp_path: Path, mode: int, kind: FileKind, reference: str) -> None:
    severity = Severity.NOTE if reference == "files" else Severity.DANGER
    assert dangers(made(tmp_path, mode, kind)) == {reference: severity}


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    secret = made(tmp_path, 0o644, SECRET)
    (tmp_path / "link").symlink_to(secret.path)
    assert "secret-readable" in dangers(ConfiguredFile("tls.key", tmp_path / "link", SECRET))


def test_a_folder_that_anybody_may_write_to_is_a_danger_unless_it_is_sticky(tmp_path: Path) -> None:
    secret = made(tmp_path, 0o600, SECRET)
    tmp_path.chmod(0o777)
    assert dangers(secret) == {"folder-writable": Severity.DANGER}
    tmp_path.chmod(0o1777)
    assert dangers(secret) == {"files": Severity.NOTE}


def test_a_file_of_another_user_is_a_warning_and_a_missing_one_a_danger(tmp_path: Path) -> None:
    secret = made(tmp_path, 0o600, SECRET)
    assert dangers(secret, user=ME + 1) == {"file-of-another-user": Severity.WARNING}
    missing = [ConfiguredFile("a.key", tmp_path / "none", kind) for kind in FileKind]
    [finding] = file_findings(missing, ME)
    assert (finding.reference, len(finding.objects)) == ("file-missing", 2), "data is made at the first start"


def test_a_path_that_leads_nowhere_is_a_danger_also_for_what_pgjit_makes(tmp_path: Path) -> None:
    inside_a_file = made(tmp_path, 0o600, DATA).path / "journal"
    assert dangers(ConfiguredFile("journal.folder", inside_a_file, DATA)) == {"file-missing": Severity.DANGER}


def test_root_cannot_tell_what_another_user_may_read(tmp_path: Path) -> None:
    assert dangers(made(tmp_path, 0o600, SECRET), user=0) == {
        "files": Severity.NOTE, "run-as-root": Severity.NOTE,
    }  # fmt: skip
