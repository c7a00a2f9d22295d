"""The file of a SQLite store: one process holds it, and its path still leads to the file that was opened.

Knows paths, locks and inodes. Does not know the file's contents.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path

__all__ = ["StoreFile"]


class StoreFile:
    """`shared`: several processes may hold it. Only tests of concurrent transactions use that.

    The lock is on a second file: SQLite loses its own locks when another descriptor of the store is closed.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path = path
        self._shared = shared
        self._lock = -1
        self._identity: tuple[int, int] | None = None

    def take(self) -> None:
        """Lock the file, and create it if it is missing; only its owner may read it. Raises OSError."""
        if not self._shared:
            self._lock = self._locked()
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                file_status = os.fstat(descriptor)
                if stat.S_IMODE(file_status.st_mode) != 0o600:
                    os.fchmod(descriptor, 0o600)
            finally:
                os.close(descriptor)
        except BaseException:
            self.release()
            raise
        self._identity = file_status.st_dev, file_status.st_ino

    def check(self) -> None:
        """Raise OSError if the path leads to another file than the one that was locked, or to none."""
        try:
            file_status = self.path.stat()
        except FileNotFoundError:
            raise OSError(f"{self.path} was removed while pgjit was using it") from None
        if (file_status.st_dev, file_status.st_ino) != self._identity:
            raise OSError(f"{self.path} was replaced while pgjit was using it")

    def release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)  # which releases the lock
            self._lock = -1

    def _locked(self) -> int:
        place = self.path.with_name(f"{self.path.name}.lock")
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, b"%d\n" % os.getpid())
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise OSError(f"another pgjit{holder} uses {self.path}") from None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _holder(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        written = os.pread(descriptor, 20, 0).strip()
        if written.isdigit():
            return f" (process {written.decode()})"
    return ""
