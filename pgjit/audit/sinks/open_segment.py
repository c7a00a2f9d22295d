"""The segment that is being written: an append-only file with one writer, mode 0600.

Knows partial writes, and a file that is gone or was changed. When `append` returns, the kernel has the lines.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pgjit.audit.segments.segment import PLAIN, Segment, segment_name
from pgjit.audit.sink import SinkBroken, SinkLost

__all__ = ["OpenSegment"]

_BLOCK = 1 << 20
_PROBE: Final = b" " * 4096  # a whole page: a full disk has no space for one
# Not every system has it. The size of the file is flushed by both.
_sync = getattr(os, "fdatasync", os.fsync)


class OpenSegment:
    """Opened by its constructor, with what is in it. Its complete lines are its first `length` bytes."""

    def __init__(self, folder: Path, first: int, *, new: bool) -> None:
        """Raises OSError."""
        self.first = first
        self.path = folder / f"{segment_name(first)}{PLAIN}"
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if new else 0)
        self._descriptor = os.open(self.path, flags, 0o600)
        try:
            self._identity = self._take()
            self.lines, self.length = (0, 0) if new else _complete(self._descriptor)
        except BaseException:
            self.close()
            raise
        self._path = str(self.path)  # a Path takes longer to look at than its file
        self._uncut = False  # after `length` there may be part of an append that failed

    @property
    def torn(self) -> int:
        """How many bytes follow its last complete line."""
        return os.fstat(self._descriptor).st_size - self.length

    @property
    def closed(self) -> Segment:
        """As readers see it when the next one has begun."""
        return Segment(self.first, self.path, compressed=False, open=False)

    @property
    def in_place(self) -> bool:
        """Whether the path is still this file."""
        try:
            status = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def append(self, lines: bytes) -> None:
        """Append to a file that was checked. Raises OSError if nothing was appended."""
        try:
            self._write(lines)
        except OSError:
            self._cut_back()
            raise
        self.length += len(lines)
        self.lines += lines.count(b"\n")

    def probe(self) -> None:
        """Raise OSError if an append to a file that was checked would fail."""
        try:
            self._write(_PROBE)
        finally:
            self._cut_back()

    def check(self) -> None:
        """Raise SinkLost if the file is not where it was, SinkBroken if someone else changed it."""
        if self._descriptor < 0:
            raise SinkBroken(f"{self.path} is not open")
        if self._uncut:
            self._cut_back()
        # One call notices a folder that was removed, moved, or may not be entered, and a file that was changed.
        try:
            status = os.lstat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            raise SinkLost(f"{self.path} was removed while it was written") from None
        if (status.st_dev, status.st_ino) != self._identity:
            raise SinkLost(f"{self.path} was replaced while it was written")
        if status.st_size != self.length:
            raise SinkBroken(f"{self.path} was changed by someone else while it was written")

    def first_line(self) -> bytes | None:
        """Its first line, with the newline; None if it is empty."""
        line, start = b"", 0
        while start < self.length:
            block = os.pread(self._descriptor, _BLOCK, start)
            head, newline, _ = block.partition(b"\n")
            line += head + newline
            if newline:
                return line
            start += len(block)
        return None

    def lines_back(self) -> Iterator[bytes]:
        """Its complete lines, with their newlines, the last first."""
        end, rest = self.length, b""
        while end > 0:
            start = max(0, end - _BLOCK)
            first, *whole = (os.pread(self._descriptor, end - start, start) + rest).splitlines(keepends=True)
            yield from reversed(whole)
            end, rest = start, first
        if rest:
            yield rest

    def blocks_after(self, start: int) -> Iterator[bytes]:
        """The bytes from `start` on."""
        while block := os.pread(self._descriptor, _BLOCK, start):
            yield block
            start += len(block)

    def cut_torn(self) -> None:
        """Remove what follows the last complete line. Raises OSError."""
        os.ftruncate(self._descriptor, self.length)

    def sync(self) -> None:
        """Return when its lines survive a crash of the machine. Raises OSError."""
        _sync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{self.path} is not a regular file")
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another process writes {self.path}") from None
        if stat.S_IMODE(status.st_mode) != 0o600:
            os.fchmod(self._descriptor, 0o600)
        return status.st_dev, status.st_ino

    def _write(self, content: bytes) -> None:
        written = os.write(self._descriptor, content)
        if written == len(content):
            return
        self._uncut = True
        rest = memoryview(content)[written:]
        while rest:  # once, unless the disk fills up in between: then the next write fails
            if not (written := os.write(self._descriptor, rest)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            rest = rest[written:]
        self._uncut = False

    def _cut_back(self) -> None:
        """Remove what was written of lines that did not fit. Until that succeeds, nothing is appended."""
        if os.fstat(self._descriptor).st_size != self.length:
            self._uncut = True
            os.ftruncate(self._descriptor, self.length)
        self._uncut = False


def _complete(descriptor: int) -> tuple[int, int]:
    """How many complete lines a file has, and their bytes."""
    lines, length, start = 0, 0, 0
    while block := os.pread(descriptor, _BLOCK, start):
        if count := block.count(b"\n"):
            lines += count
            length = start + block.rfind(b"\n") + 1
        start += len(block)
    return lines, length
