"""What a group of processes has used: CPU time and memory, by the operating system's own accounting in /proc.

A program that the bench starts leads a process group; what it starts belongs to the group. Nothing here is measured
by the programs themselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["cpu_seconds", "memory_bytes"]

_TICK = os.sysconf("SC_CLK_TCK")
_GROUP, _UTIME, _STIME = 2, 11, 12  # of /proc/PID/stat, counted from the state on


def _stat(pid: int) -> list[str]:
    # The second field is a name in parentheses, which may have any character in it.
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def _members(group: int) -> Iterator[int]:
    """The processes of a group that live now."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                if int(_stat(int(entry.name))[_GROUP]) == group:
                    yield int(entry.name)


def cpu_seconds(group: int) -> float:
    """User and system time of the processes that live. Those of one that ended meanwhile are missing."""
    ticks = 0
    for pid in _members(group):
        with suppress(OSError, IndexError):
            fields = _stat(pid)
            ticks += int(fields[_UTIME]) + int(fields[_STIME])
    return ticks / _TICK


def memory_bytes(group: int) -> int:
    """Proportional set size: a page that processes share is counted once."""
    total = 0
    for pid in _members(group):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total
