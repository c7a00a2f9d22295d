"""The folder for the Unix sockets of the workers' admin pages, in the system's folder for temporary files.

Decides which folders are left over: those of this user whose supervisor was killed. A supervisor holds the lock of
its folder for as long as it lives, so the kernel knows, and no process id is trusted.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["WorkerFolder"]

_log = logging.getLogger("pgjit.workers")
_PREFIX = "pgjit-workers-"
_LOCK = "lock"


class WorkerFolder:
    """A new folder, for this user alone. `remove` it at the end. Raises OSError."""

    def __init__(self) -> None:
        self.path, self._lock = _made()

    def remove(self) -> None:
        """May be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove_left_over(self) -> None:
        """Remove the folders of this user's supervisors that were killed. One that cannot be removed stays."""
        for folder in self.path.parent.glob(f"{_PREFIX}*"):
            if folder != self.path and _is_own(folder):
                _remove_unless_held(folder)


def _made() -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # Another supervisor that starts may have taken the folder for one that is left over, just before this.
        if _locked(lock) and (folder / _LOCK).exists():
            return folder, lock
        os.close(lock)


def _is_own(folder: Path) -> bool:
    """Anybody may put something of this name into the folder for temporary files, also a link."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _remove_unless_held(folder: Path) -> None:
    """One without a lock belongs to nobody known: it stays."""
    with suppress(OSError):
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if _locked(lock):
                shutil.rmtree(folder)
                _log.info("%s was left by a supervisor that was killed: it is removed", folder)
        finally:
            os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
