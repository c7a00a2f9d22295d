"""A file of lines with one writer, mode 0600: the sink of a single machine.

Knows partial writes, torn lines and locks. Does not know what a line contains. When `append` returns, the kernel has
the lines: they survive the end of this process, and after `flush` a crash of the machine.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pgjit.audit.sink import SinkBroken

__all__ = ["FileSink"]

_log = logging.getLogger("pgjit.journal")
_BLOCK = 65536
_PROBE = b" " * 4096  # a whole page: a full disk has no space for one


class FileSink:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._length = 0
        self._broken = False

    @property
    def name(self) -> str:
        return str(self._path)

    def open(self) -> bytes | None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        try:
            self._take()
            self._length = _full_length(self._descriptor)
            self._move_torn_tail()
            os.fsync(self._descriptor)
            _sync_folder(self._path)  # the file's name must survive a crash too
            self._broken = False
            return _last_line(self._descriptor, self._length)
        except BaseException:
            self.close()
            raise

    def append(self, lines: bytes) -> None:
        self._check_file()
        rest = memoryview(lines)
        try:
            while rest:  # once, unless the disk fills up in between: then the next write fails
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self._cut_back()
            raise
        self._length += len(lines)

    def probe(self) -> None:
        self._check_file()
        try:
            if os.write(self._descriptor, _PROBE) != len(_PROBE):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        finally:
            self._cut_back()

    def lines_back(self) -> Iterator[bytes]:
        end, rest = self._length, b""
        while end > 0:
            start = max(0, end - _BLOCK)
            first, *whole = (os.pread(self._descriptor, end - start, start) + rest).splitlines(keepends=True)
            yield from reversed(whole)
            end, rest = start, first
        if rest:
            yield rest

    def flush(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)  # which releases the lock
            self._descriptor = -1

    def _take(self) -> None:
        file_status = os.fstat(self._descriptor)
        if not stat.S_ISREG(file_status.st_mode):
            raise OSError(f"{self._path} is not a regular file")
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another process writes {self._path}") from None
        if stat.S_IMODE(file_status.st_mode) != 0o600:
            os.fchmod(self._descriptor, 0o600)

    def _check_file(self) -> None:
        """Raise SinkBroken if the file was removed, or changed by another process."""
        if self._broken or self._descriptor < 0:
            raise SinkBroken(f"{self._path} is not open")
        file_status = os.fstat(self._descriptor)
        if file_status.st_nlink == 0:
            self._broken = True
            raise SinkBroken(f"{self._path} was removed while it was written")
        if file_status.st_size != self._length:
            self._broken = True
            raise SinkBroken(f"{self._path} was changed by someone else while it was written")

    def _cut_back(self) -> None:
        """Remove what was written of lines that did not fit."""
        try:
            os.ftruncate(self._descriptor, self._length)
        except OSError as error:
            self._broken = True
            raise SinkBroken(f"{self._path} ends in half a line that cannot be removed") from error

    def _move_torn_tail(self) -> None:
        torn = os.fstat(self._descriptor).st_size - self._length
        if torn == 0:
            return
        aside, target = self._torn_file()
        try:
            for start in range(self._length, self._length + torn, _BLOCK):
                block = os.pread(self._descriptor, min(_BLOCK, self._length + torn - start), start)
                with memoryview(block) as view:
                    written = 0
                    while written < len(block):
                        written += os.write(target, view[written:])
            os.fsync(target)
        finally:
            os.close(target)
        _sync_folder(self._path)  # the copy is safe before the original is cut
        os.ftruncate(self._descriptor, self._length)
        _log.error("the last %d bytes of %s are half a line: moved to %s", torn, self._path, aside)

    def _torn_file(self) -> tuple[Path, int]:
        number = 1
        while True:
            aside = self._path.with_name(f"{self._path.name}.torn-{number}")
            try:
                return aside, os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                number += 1


def _full_length(descriptor: int) -> int:
    """The length of the file up to its last newline."""
    return _after_newline(descriptor, os.fstat(descriptor).st_size)


def _last_line(descriptor: int, length: int) -> bytes | None:
    if length == 0:
        return None
    start = _after_newline(descriptor, length - 1)
    return os.pread(descriptor, length - start, start)


def _after_newline(descriptor: int, end: int) -> int:
    """Where the line that reaches to `end` begins: after the last newline before it, or at 0."""
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _sync_folder(path: Path) -> None:
    folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
