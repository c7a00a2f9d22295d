"""How many idle sessions this machine can hold at once: what the server takes, open files, and memory."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import NamedTuple

from pgjit.file_descriptors import descriptors_for
from tests.bench.bed import Bed

__all__ = ["OTHER_SESSIONS", "Room", "room_of"]

OTHER_SESSIONS = 60
"""The sessions of the server beside the counted ones: those of the proxies and of the observers."""
_OF_BACKEND = 3 * 2**20
"""Memory that the server may need for one session."""


class Room(NamedTuple):
    connections: int
    """that the server takes"""
    files: int
    """that one process may open"""
    memory: int
    """bytes that are available"""

    def lack(self, number: int) -> str | None:
        """Why there is no room for so many sessions. None if there is."""
        needed = descriptors_for(number + OTHER_SESSIONS, 1)
        if number + OTHER_SESSIONS > self.connections:
            return f"the server takes {self.connections} sessions"
        if needed > self.files:
            return f"{number} may need {needed} open files, and a process may have {self.files} (`ulimit -Hn`)"
        if number * _OF_BACKEND > self.memory:
            megabytes = number * _OF_BACKEND // 2**20
            return f"the server may need {megabytes} MiB for {number}, and {self.memory // 2**20} MiB are available"
        return None


def room_of(bed: Bed) -> Room:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        files = 2**31
    return Room(bed.postgres.connections, files, _available())


def _available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
