"""The files of kept results: lines that are only appended, in a file for each segment of the journal.

Decides the names, and what a failed write leaves behind: nothing that a record refers to. A reference has the place
of its line, so a half line of a crash is never read. `flush` is called before the segments are flushed: a record on
the disk has its result there too.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from pgjit.audit.durable_file import sync_folder
from pgjit.audit.results.capture import ResultReference

__all__ = ["RESULTS", "ResultFiles", "results_between"]

RESULTS = ".results"
"""After the number of the journal's line that comes next when the file is made, in 20 digits."""

_PROBE = b" " * 4096
sync = getattr(os, "fdatasync", os.fsync)  # not every system has it


def results_between(folder: Path, first: int, end: int) -> list[Path]:
    """The files of results that were begun from the journal's line `first` on, and before `end`. Raises OSError."""
    names = (f"{first:020}{RESULTS}", f"{end:020}{RESULTS}")
    return sorted(path for path in folder.glob(f"*{RESULTS}") if names[0] <= path.name < names[1])


class _OpenFile:
    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self.path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, 0o600)
        status = os.fstat(self._descriptor)
        self._identity = status.st_dev, status.st_ino
        self.length = status.st_size

    @property
    def in_place(self) -> bool:
        try:
            status = self.path.lstat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity and status.st_size == self.length

    def append(self, line: bytes) -> int:
        """Where the line begins. Raises OSError; then nothing was appended, or the file is not used again."""
        start, rest = self.length, memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, start)
            raise
        self.length += len(line)
        return start

    def probe(self) -> None:
        try:
            os.write(self._descriptor, _PROBE)
        finally:
            os.ftruncate(self._descriptor, self.length)

    def sync(self) -> None:
        sync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class ResultFiles:
    """The results of one journal. Every method may raise OSError; `flush` is called from another thread."""

    def __init__(self, folder: Path, next_line: Callable[[], int]) -> None:
        self._folder = folder
        self._next_line = next_line
        self._file: _OpenFile | None = None
        self._retired: deque[_OpenFile] = deque()
        self._names_changed = self._unsynced = False
        self.failing = False  # the last write failed

    def keep(self, line: bytes) -> ResultReference:
        """Append a line. When it returns, the line survives the end of this process. Raises OSError."""
        self.failing = True
        file = self._opened()
        start = file.append(line)
        self.failing, self._unsynced = False, True
        return ResultReference(file.path.name, start, len(line), hashlib.sha256(line).hexdigest())

    @property
    def writable(self) -> bool:
        """Whether a result could be kept now. Probes after a failed write."""
        if self.failing:
            try:
                self._opened().probe()
            except OSError:
                return False
            self.failing = False
        return True

    def rotate(self) -> None:
        """The next result goes to another file."""
        if self._file is not None:
            self._retired.append(self._file)
            self._file = None

    def flush(self) -> None:
        # In the thread of the journal. It alone closes files while they are used.
        file, changed = self._file, self._names_changed
        while self._retired:
            retired = self._retired[0]
            retired.sync()
            retired.close()
            self._retired.popleft()
        if file is not None and self._unsynced:
            self._unsynced = False
            file.sync()
        if changed:
            self._names_changed = False
            sync_folder(self._folder)

    def close(self) -> None:
        for file in (*self._retired, self._file):
            if file is not None:
                file.close()
        self._retired.clear()
        self._file = None

    def _opened(self) -> _OpenFile:
        if self._file is not None and not self._file.in_place:
            self._retired.append(self._file)
            self._file = None
        if self._file is None:
            self._file = _OpenFile(self._folder / f"{self._next_line():020}{RESULTS}")
            self._names_changed = True
        return self._file
