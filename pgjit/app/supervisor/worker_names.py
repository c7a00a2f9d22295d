"""The names of workers on the store: `a.1`, `a.2`, ... for node `a`, twice as many as there are slots.

Decides which name a new worker gets: that of a worker that was killed, so that it ends what that one left; else the
first that nobody has. A worker that is replaced keeps its name while it drains, also one of an earlier supervisor.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection
from pathlib import Path

__all__ = ["WorkerNames"]


class WorkerNames:
    """`folder`: the journal's, in which each worker has its own. Markers in it name the workers that were not stopped
    in order, also for the next supervisor."""

    def __init__(self, node: str, slots: int, folder: Path) -> None:
        self._folder = folder
        self._names = [f"{node}.{number}" for number in range(1, 2 * slots + 1)]

    def free(self, taken: Collection[str]) -> str | None:
        """A name that no running worker has; None if there is none. `taken`: those of this supervisor's workers."""
        free = [name for name in self._names if name not in taken and not self._written(name)]
        return next((name for name in free if self._marker(name).exists()), free[0] if free else None)

    def begin(self, name: str) -> None:
        """A worker of this name is started. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._marker(name).touch(mode=0o600)

    def ended_in_order(self, name: str) -> None:
        """It left nothing: no backend, and no record that its journal lacks."""
        self._marker(name).unlink(missing_ok=True)

    def _marker(self, name: str) -> Path:
        return self._folder / f"{name}.running"

    def _written(self, name: str) -> bool:
        """Whether a process writes the journal of this name: it holds the lock of its folder."""
        try:
            lock = os.open(self._folder / name / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False
