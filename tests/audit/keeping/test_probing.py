"""Places where the journal is kept are tried, and left as they were."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pgjit.audit.keeping.probing import try_archive, try_folder


def test_a_folder_that_can_be_used_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "origin").write_text("node/0/abc\n")
    before = sorted(tmp_path.iterdir())
    result = try_folder(tmp_path, 0)
    assert (result.fault, result.warning) == (None, None)
    assert sorted(tmp_path.iterdir()) == before
    assert "bytes left, and the alarm is at" in str(try_folder(tmp_path, 1 << 62).warning)


def test_a_folder_that_will_be_made_needs_its_parent(tmp_path: Path) -> None:
    result = try_folder(tmp_path / "journal", 0)
    assert (result.fault, result.warning) == (None, "it is missing, and pgjit makes it at its first start")
    assert list(tmp_path.iterdir()) == []
    assert try_folder(tmp_path / "a" / "journal", 0).fault == "its parent is missing"
    (tmp_path / "file").touch()
    assert try_folder(tmp_path / "file", 0).fault == "it is not a folder"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (PermissionError(13, "Permission denied"), "this user may not write there"),
        (OSError(28, "No space left on device"), "its disk is full"),
        (OSError(30, "Read-only file system"), "its file system is read-only"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_why_a_folder_cannot_be_used_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, fault: str
) -> None:
    def refuse(*_: object) -> int:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        result = try_folder(tmp_path, 0)
    assert result.fault == fault
    assert "that runs `pgjit serve`" in str(result.hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_an_archive_that_can_be_used_is_left_as_it_was(tmp_path: Path, scheme: str) -> None:
    url = f"memory://{tmp_path.name}" if scheme == "memory" else (tmp_path / "archive").as_uri()
    result = try_archive(url, "node/0/abc")
    assert (result.fault, result.warning) == (None, None)
    store, root = fsspec.core.url_to_fs(url)
    assert store.find(root) == []


def test_an_archive_that_lets_nothing_be_deleted_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise PermissionError("Access Denied: object is locked")

    monkeypatch.setattr(MemoryFileSystem, "rm_file", locked)
    result = try_archive(f"memory://{tmp_path.name}")
    assert result.fault is None
    assert str(result.warning).startswith("nothing can be deleted there (Access Denied: object is locked): ")


def test_the_step_that_an_archive_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert str(try_archive((tmp_path / "file" / "x").as_uri()).fault).startswith("it cannot be written to: ")
    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "cat_file", lambda *_: b"something else")
        assert try_archive(f"memory://{tmp_path.name}").fault == "what was read back is not what was written"
    released = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "pipe_file", lambda *_: released.wait(60))
        assert try_archive(f"memory://{tmp_path.name}", seconds=0.01).fault == "it did not answer within 0.01 s"
        released.set()
