"""The alarm before the journal's disk is full. Decides when it begins and when it is over."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path

from pgjit.audit.keeping_event import JournalSpaceLow, JournalSpaceRegained, KeepingEvent

__all__ = ["DiskSpace", "free_bytes"]

_log = logging.getLogger("pgjit.journal")


def free_bytes(folder: Path) -> int:
    """What an unprivileged process may still write there. Raises OSError."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


class DiskSpace:
    def __init__(self, name: str, warn_bytes: int) -> None:
        self._name = name
        self._warn_bytes = warn_bytes
        self.low = False

    def note(self, free: int, now: datetime) -> KeepingEvent | None:
        """What is to be recorded, if the alarm begins or is over."""
        if not self.low and free < self._warn_bytes:
            self.low = True
            _log.critical("the disk of journal %s has %d bytes left: when it is full, nothing runs", self._name, free)
            return JournalSpaceLow(at=now, free_bytes=free, warn_bytes=self._warn_bytes)
        if self.low and free >= self._warn_bytes + self._warn_bytes // 8:
            self.low = False
            _log.warning("the disk of journal %s has %d bytes again", self._name, free)
            return JournalSpaceRegained(at=now, free_bytes=free, warn_bytes=self._warn_bytes)
        return None
