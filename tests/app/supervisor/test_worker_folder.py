"""Folders of supervisors that were killed are removed, and no other ones."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from pgjit.app.supervisor.worker_folder import WorkerFolder
from tests.run.processes import own

_HELD = """
from pgjit.app.supervisor.worker_folder import WorkerFolder
folder = WorkerFolder()
print(folder.path, flush=True)
input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this process and of its children."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_is_for_one_user_and_is_removed_at_the_end(temporary: Path) -> None:
    folder = WorkerFolder()
    assert folder.path.parent == temporary
    assert folder.path.stat().st_mode & 0o777 == 0o700
    (folder.path / "a.1").touch()
    for _ in range(2):
        folder.remove()
        assert list(temporary.iterdir()) == []


@pytest.mark.live
def test_the_folder_of_a_killed_supervisor_is_removed_by_the_next_one() -> None:
    with own(sys.executable, "-c", _HELD, stdin=-1) as running, own(sys.executable, "-c", _HELD, stdin=-1) as killed:
        left = []
        for process in (running, killed):
            assert process.stdout is not None
            left.append(Path(process.stdout.readline().strip()))
        (left[1] / "a.1-0123").touch()
        killed.send_signal(signal.SIGKILL)
        assert killed.wait(30) == -signal.SIGKILL
        own_folder = WorkerFolder()
        own_folder.remove_left_over()
        assert [folder.exists() for folder in (*left, own_folder.path)] == [True, False, True]
        own_folder.remove()


def test_what_is_no_folder_of_a_supervisor_stays(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (temporary / "pgjit-workers-without-a-lock").mkdir()
    (temporary / "pgjit-workers-a-file").touch()
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").touch()
    (temporary / "pgjit-workers-a-link").symlink_to(elsewhere)
    linked = temporary / "pgjit-workers-a-linked-lock"
    linked.mkdir()
    (linked / "lock").symlink_to(elsewhere / "lock")
    folder = WorkerFolder()
    before = sorted(temporary.rglob("*"))
    folder.remove_left_over()
    assert sorted(temporary.rglob("*")) == before
    another = WorkerFolder()
    another.remove()
    (another.path).mkdir()
    (another.path / "lock").touch()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    folder.remove_left_over()
    assert another.path.exists(), "it belongs to somebody else"
    folder.remove()
