"""Small files of the journal that are whole or absent after any crash.

Decides the order: a temporary file in the same folder, its content on the disk, the rename, the folder on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["append_line", "replace_file", "replace_lines", "sync_folder"]


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """When it returns, `path` has `content` for good. A crash leaves the old content or the new. Raises OSError."""
    replace_lines(path, [content], mode)


def replace_lines(path: Path, lines: Iterable[bytes], mode: int = 0o600) -> None:
    """The same with content that need not fit into memory. `lines` have their newlines. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(descriptor)
    part.rename(path)
    sync_folder(path.parent)


def append_line(path: Path, line: bytes, mode: int = 0o600) -> None:
    """Add `line`, without its newline, and wait until the disk has it. Half a line of a crash is removed first.

    Raises OSError.
    """
    new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
    try:
        _cut_half_line(descriptor)
        _write(descriptor, line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if new:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Return when the names in `folder` survive a crash of the machine. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _cut_half_line(descriptor: int) -> None:
    end = os.fstat(descriptor).st_size
    block = os.pread(descriptor, 1 << 16, max(0, end - (1 << 16)))
    if block and not block.endswith(b"\n"):
        os.ftruncate(descriptor, end - len(block) + block.rfind(b"\n") + 1)
