"""The folder of a journal: made once, for one writer, with the origin of its lines.

Decides who may write: the process that holds the lock. Does not know what the segments contain.
"""

from __future__ import annotations

import base64
import fcntl
import logging
import os
import secrets
import stat
from pathlib import Path

from pgjit.audit.durable_file import replace_file

__all__ = ["JournalFolder"]

_log = logging.getLogger("pgjit.journal")
_ORIGIN_BYTES = 5  # eight characters of base32


class JournalFolder:
    """Opened with `take`, released with `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._path = str(path)
        self.origin = ""
        self._lock = -1
        self._descriptor = -1
        self._identity = (0, 0)

    def take(self, owner: str) -> None:
        """Lock it for this process, and read its origin, or make one that begins with `owner`. Raises OSError."""
        try:
            self._open()
            self.origin = self._read_origin() or self._make_origin(owner)
        except BaseException:
            self.close()
            raise

    @property
    def replaced(self) -> bool:
        """Whether another folder is in its place. Raises OSError if none is."""
        status = self.path.stat()
        return (status.st_dev, status.st_ino) != self._identity

    def check(self) -> None:
        """Raise PermissionError if this process could not make the next segment."""
        if not os.access(self._path, os.W_OK | os.X_OK):
            raise PermissionError(f"{self.path} may not be written")

    def sync(self) -> None:
        """Return when the names of its files survive a crash of the machine. Raises OSError."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        for descriptor in (self._lock, self._descriptor):
            if descriptor >= 0:
                os.close(descriptor)  # which releases the lock
        self._lock = self._descriptor = -1

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        status = os.fstat(self._descriptor)
        self._identity = status.st_dev, status.st_ino
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another process writes {self.path}") from None
        if stat.S_IMODE(status.st_mode) & 0o077:
            try:
                os.fchmod(self._descriptor, 0o700)
            except PermissionError:
                _log.warning("%s can be entered by others than pgjit, and its mode cannot be changed", self.path)

    def _read_origin(self) -> str:
        try:
            return (self.path / "origin").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def _make_origin(self, owner: str) -> str:
        origin = f"{owner}/{base64.b32encode(secrets.token_bytes(_ORIGIN_BYTES)).decode().lower()}"
        replace_file(self.path / "origin", f"{origin}\n".encode())
        return origin
